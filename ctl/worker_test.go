package ctl

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
	"lbctl/internal/systemd"
	"lbctl/l4"
)

// service is a standalone daemon with a fake plane and a service manager.
type service struct {
	*testing.T
	plane   *fakePlane
	manager *net.UnixConn
	reload  chan os.Signal
	client  *Client
}

func l4Config() lb.Config {
	config := testConfig(2)
	config.Services = config.Services[:1]
	return config
}

func startService(t *testing.T, plane *fakePlane, load func() (lb.Config, error)) *service {
	t.Helper()
	dir := shortDir(t)
	name := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "40000")
	notifier, err := systemd.FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	s := &service{T: t, plane: plane, manager: manager, reload: make(chan os.Signal, 1)}
	c := StandaloneConfig{Name: "test", File: "/test.yaml", Dir: dir, Config: l4Config(), Load: load}
	w := worker{config: c, notifier: notifier, reload: s.reload, log: slog.New(slog.DiscardHandler)}
	f := &fixture{net: &fakeNet{}, l4: plane, l7: &fakePlane{name: lb.L7}, file: c.files().state()}
	o := testOptions(f)
	o.File, o.Planes = c.File, o.Planes[:1]
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- daemon{socket: c.files().socket(), work: w.run}.run(ctx, o) }()
	s.client = Dial(c.files().socket())
	t.Cleanup(func() {
		cancel()
		s.client.Close()
		if err := <-ended; err != nil {
			t.Errorf("the daemon ends with %v", err)
		}
		_ = notifier.Close()
		_ = manager.Close()
	})
	return s
}

// told returns the next message that begins so.
func (s *service) told(begin string) string {
	s.Helper()
	_ = s.manager.SetReadDeadline(time.Now().Add(20 * time.Second))
	buffer := make([]byte, 4096)
	for {
		n, err := s.manager.Read(buffer)
		if err != nil {
			s.Fatalf("%v while waiting to be told %s", err, begin)
		}
		if strings.HasPrefix(string(buffer[:n]), begin) {
			return string(buffer[:n])
		}
	}
}

func TestReadyIsSaidOnceThePlaneHasTheConfiguration(t *testing.T) {
	gate := make(chan struct{})
	s := startService(t, &fakePlane{name: lb.L4, gate: gate}, nil)
	s.told("WATCHDOG=1") // before READY: starting is no hanging
	close(gate)
	told := s.told("READY=1")
	if !strings.Contains(told, "STATUS=revision ") {
		t.Errorf("told %q", told)
	}
	for !strings.HasSuffix(told, "backends 2 of 2 up") {
		told = s.told("STATUS=")
	}
}

func TestAPlaneThatFailsHoldsUpNoStartAndTheStatusSaysWhy(t *testing.T) {
	s := startService(t, &fakePlane{name: lb.L4, fail: func(int) bool { return true }}, nil)
	if told := s.told("READY=1"); !strings.Contains(told, "plane l4: call 1: injected fault") {
		t.Errorf("told %q", told)
	}
}

func TestAReloadIsSaidToBeOverWhetherItWasRefusedOrNot(t *testing.T) {
	answers := make(chan func() (lb.Config, error), 1)
	s := startService(t, &fakePlane{name: lb.L4}, func() (lb.Config, error) { return (<-answers)() })
	s.told("READY=1")
	reload := func(answer func() (lb.Config, error)) string {
		answers <- answer
		s.reload <- syscall.SIGHUP
		s.told("RELOADING=1\nMONOTONIC_USEC=")
		return s.told("READY=1")
	}
	config := func(change func(*lb.Config)) func() (lb.Config, error) {
		return func() (lb.Config, error) {
			c := l4Config()
			change(&c)
			return c, nil
		}
	}
	refused := func(told, why string) {
		t.Helper()
		if !strings.Contains(told, "reload refused: "+why) {
			t.Errorf("told %q, want that it was refused: %s", told, why)
		}
		if got, _, err := s.client.Config(t.Context()); err != nil || len(got.Services) != 1 || got.Services[0].Name != "web-l4" || got.Services[0].Backends[0].Weight != 7 {
			t.Errorf("the configuration is now %+v, %v", got, err)
		}
	}
	if told := reload(config(func(c *lb.Config) { c.Services[0].Backends[0].Weight = 7 })); strings.Contains(told, "refused") {
		t.Errorf("told %q", told)
	}
	if w := s.plane.last().Services[0].Backends[0].Weight; w != 7 {
		t.Errorf("READY came before the plane had the weight: it is %d", w)
	}
	refused(reload(func() (lb.Config, error) { return lb.Config{}, errors.New("x.yaml:1:2: no\nsecond line") }), "x.yaml:1:2: no")
	refused(reload(config(func(c *lb.Config) { c.Services[0].Policy = "worst" })), "configuration refused")
	refused(reload(config(func(c *lb.Config) { c.Services[0].Plane = lb.L7 })), `configuration refused: service "web-l4": there is no plane l7 here`)
	events, err := s.client.PastEvents(t.Context(), 0)
	count := 0
	for _, e := range events {
		if e.Kind == EventReloadRefused {
			count++
		}
	}
	if err != nil || count != 3 {
		t.Errorf("%d events of refused reloads, %v", count, err)
	}
	same := config(func(c *lb.Config) { c.Services[0].Backends[0].Weight = 7 })
	if told := reload(same); strings.Contains(told, "refused") {
		t.Errorf("told %q after a file without changes", told)
	}
}

func TestATokenIsMadeOnceAndReadFromWhereItIsSaidToBe(t *testing.T) {
	c := StandaloneConfig{Dir: t.TempDir()}
	first, err := c.token()
	again, _ := c.token()
	if err != nil || len(first) < 24 || first != again {
		t.Errorf("tokens %q and %q, %v", first, again, err)
	}
	if info, err := os.Stat(c.ownToken()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info.Mode(), err)
	}
	c.TokenFile = filepath.Join(c.Dir, "given")
	for text, want := range map[string]string{"s3cret\n": "s3cret", " \n": ""} {
		if err := os.WriteFile(c.TokenFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := c.token(); got != want || (err == nil) != (want != "") {
			t.Errorf("of %q: token %q, %v", text, got, err)
		}
	}
}

func TestOneDaemonHoldsTheFoldersOfABalancer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("pins need root")
	}
	base := shortDir(t)
	config := func(dir, pins string) StandaloneConfig {
		return StandaloneConfig{Name: "test", Dir: filepath.Join(base, dir), Plane: StandaloneL4{l4.Options{PinDir: filepath.Join(base, pins)}}}
	}
	// What is mounted goes with this thread, which ends with this goroutine.
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := config("d1", "p1").lock()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []StandaloneConfig{config("d1", "p2"), config("d2", "p1")} {
		if _, err := c.lock(); !errors.Is(err, errLocked) {
			t.Errorf("a second one with %s and %s: %v", c.Dir, c.Plane, err)
		}
	}
	unlock()
	for _, c := range []StandaloneConfig{config("d1", "p1"), config("d2", "p2")} {
		unlock, err := c.lock()
		if err != nil {
			t.Errorf("once the first one has ended: %v", err)
			continue
		}
		unlock()
		if err := FlushStandalone(c); err != nil {
			t.Error(err)
		}
	}
}
