package ctl

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// shortDir returns a private directory whose path leaves room for a socket's
// name. Processes that endWithTest end when it goes.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := lockFile(filepath.Join(dir, "test.alive"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unlock()
		_ = os.RemoveAll(dir)
	})
	return dir
}

// startTestDaemon runs a daemon with fake planes; end ends it and returns its error.
func startTestDaemon(t *testing.T, c DaemonConfig, api net.Listener) (client *Client, end func() error) {
	t.Helper()
	f := &fixture{net: &fakeNet{}, l4: &fakePlane{name: lb.L4}, l7: &fakePlane{name: lb.L7}, file: c.state()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- runDaemon(ctx, c, testOptions(f), api) }()
	client = Dial(c.socket())
	for i := 0; ; i++ {
		if _, err := client.Version(t.Context()); err == nil {
			break
		} else if i > 500 {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	end = func() error {
		cancel()
		client.Close()
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(10 * time.Second):
			return errors.New("the daemon does not end")
		}
	}
	t.Cleanup(func() { _ = end() })
	return client, end
}

func TestAClientDoesItsWorkWithADaemon(t *testing.T) {
	c := DaemonConfig{Lab: "test", Dir: shortDir(t), Self: "/lbctl"}
	client, end := startTestDaemon(t, c, nil)
	ctx := t.Context()

	configured, err := client.Configure(ctx, testConfig(3))
	if err != nil || len(configured.Changes) != 3 {
		t.Fatalf("configure: %+v, %v", configured, err)
	}
	status, err := client.Wait(ctx, WaitRequest{Revision: configured.Revision, Healthy: true, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	svc, _ := status.Service("web-l7")
	if b, ok := svc.Backend("s2"); !ok || b.Health != lb.Up || b.Probed.IsZero() || b.Addr != server(2) {
		t.Errorf("s2 in the status: %+v", b)
	}

	if _, err := client.SetBackend(ctx, "web-l4", "s1", BackendPatch{Admin: ptr(lb.Draining)}); err != nil {
		t.Fatal(err)
	}
	var p *Problem
	_, err = client.SetBackend(ctx, "web-l4", "s9", BackendPatch{Admin: ptr(lb.Draining)})
	if !errors.As(err, &p) || p.Status != 404 || !strings.Contains(p.Detail, "did you mean s1") {
		t.Errorf("an unknown backend: %v", err)
	}

	config, tag, err := client.Config(ctx)
	if err != nil || len(config.Services) != 2 {
		t.Errorf("config: %+v, %v", config, err)
	}
	if r, err := client.ConfigureIf(ctx, tag, config); err != nil || len(r.Changes) != 0 {
		t.Errorf("what was read, written: %+v, %v", r, err)
	}
	if _, err := client.ConfigureIf(ctx, `"0"`, config); StatusCode(err) != 412 {
		t.Errorf("an old tag: %v", err)
	}
	stats, err := client.Stats(ctx)
	if counted, ok := stats.Service("web-l4"); err != nil || !ok || len(counted.Backends) != 3 {
		t.Errorf("stats: %+v, %v", stats, err)
	}
	if services, err := client.Services(ctx); err != nil || len(services) != 2 {
		t.Errorf("services: %+v, %v", services, err)
	}

	if err := client.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := end(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	if _, err := os.Stat(c.socket()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
	if _, err := client.Version(ctx); err == nil || !strings.Contains(err.Error(), c.socket()) {
		t.Errorf("asking nobody: %v", err)
	}
}

func TestEventsAreFollowedAcrossPastAndPresent(t *testing.T) {
	client, end := startTestDaemon(t, DaemonConfig{Lab: "test", Dir: shortDir(t), Self: "/lbctl"}, nil)
	if _, err := client.Configure(t.Context(), testConfig(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Wait(t.Context(), WaitRequest{Healthy: true}); err != nil {
		t.Fatal(err)
	}
	past, err := client.PastEvents(t.Context(), 0)
	if err != nil || len(past) < 4 || past[0].Kind != EventStarted {
		t.Fatalf("past events: %+v, %v", past, err)
	}
	if later, err := client.PastEvents(t.Context(), past[1].Seq); err != nil || len(later) != len(past)-2 {
		t.Errorf("since %d: %d of %d events, %v", past[1].Seq, len(later), len(past), err)
	}
	seen := make(chan Event, 100)
	followed := make(chan error, 1)
	go func() {
		followed <- client.Events(context.Background(), 0, func(e Event) error { seen <- e; return nil })
	}()
	for range past {
		<-seen
	}
	if _, err := client.SetBackend(t.Context(), "web-l7", "s1", BackendPatch{Weight: ptr(uint32(4))}); err != nil {
		t.Fatal(err)
	}
	if e := <-seen; e.Kind != EventWeight || e.Backend != "s1" || e.Message != "web-l7/s1 weighs 4, was 1 (scenario: 1)" {
		t.Errorf("the next event: %+v", e)
	}
	stop := errors.New("enough")
	if err := client.Events(t.Context(), 0, func(Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a reader that has enough: %v", err)
	}
	start := time.Now()
	if err := end(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("a follower held up the end for %s", took)
	}
	if err := <-followed; err != nil {
		t.Errorf("the stream of a daemon that ends: %v", err)
	}
}

func TestTheAPIOnTCPWantsItsToken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := DaemonConfig{Lab: "test", Dir: shortDir(t), Self: "/lbctl", API: l.Addr().String(), Token: "secret"}
	startTestDaemon(t, c, l)
	for token, want := range map[string]int{"": 401, "wrong": 401, "secrets": 401, "secret": 0} {
		client := DialTCP(c.API, token)
		_, err := client.Version(t.Context())
		client.Close()
		if StatusCode(err) != want || (want == 0) != (err == nil) {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

func TestAnInheritedListenerMayBeMissing(t *testing.T) {
	c := DaemonConfig{Lab: "test", Dir: shortDir(t), Self: "/lbctl", API: "127.0.0.1:1", Token: "x"}
	client, _ := startTestDaemon(t, c, nil)
	if v, err := client.Version(t.Context()); err != nil || v.Lab != "test" || v.PID != os.Getpid() {
		t.Errorf("version: %+v, %v", v, err)
	}
}

func TestTheSocketIsPrivateAndReplacedOnlyWhenDead(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "daemon.sock")
	first, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %#o", info.Mode().Perm())
	}
	if _, err := listenUnix(path); err == nil || !strings.Contains(err.Error(), "somebody answers") {
		t.Errorf("a second listener: %v", err)
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	first.Close()
	second, err := listenUnix(path)
	if err != nil {
		t.Fatalf("over a dead socket: %v", err)
	}
	second.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path); err == nil {
		t.Error("a file that is no socket was replaced")
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(filepath.Join(dir, "other.sock")); err == nil || !strings.Contains(err.Error(), "0700") {
		t.Errorf("in a directory open to others: %v", err)
	}
}

func TestOnlyOneHolderOfALock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFile(path); !errors.Is(err, errLocked) {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	unlock, err = lockFile(path)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	unlock()
}

func TestABrokenListenerEndsTheServerWithAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := serve(t.Context(), l, http.NotFoundHandler(), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("serving at a closed listener is no error")
	}
}
