package ctl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
	"lbctl/l7"
)

// realLab names the lab whose daemon has the real planes; see testDaemon.
const realLab = "real"

// realProxy is the verb l7-proxy of the test binary.
func realProxy(socket string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	endWithTest(filepath.Dir(socket), cancel)
	return l7.Run(ctx, socket, l7.Shape{}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// realWorker is the verb l7-worker of the test binary. It ends with its master.
func realWorker(flags []string) error {
	var shape l7.Shape
	set := flag.NewFlagSet("l7-worker", flag.ContinueOnError)
	slot := set.Int("slot", 0, "")
	set.StringVar((*string)(&shape.Model), "model", "", "")
	set.IntVar(&shape.Threads, "threads", 0, "")
	set.IntVar(&shape.Processes, "processes", 0, "")
	set.StringVar(&shape.Events, "events", "", "")
	set.StringVar(&shape.LogLevel, "log-level", "", "")
	set.DurationVar(&shape.DrainTimeout, "drain-timeout", 0, "")
	if err := set.Parse(flags); err != nil {
		return err
	}
	return l7.Work(context.Background(), *slot, shape, l7.NewLog(os.Stderr, shape))
}

// endWithTest calls end when the test that made dir (see shortDir) is gone,
// however it went, so that a killed test leaves no process.
func endWithTest(dir string, end func()) {
	go func() {
		for {
			unlock, err := lockFile(filepath.Join(dir, "test.alive"))
			if err == nil || !errors.Is(err, errLocked) {
				if err == nil {
					unlock()
				}
				end()
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
}

// balancerNS returns a namespace with its loopback up, and a path to it that
// ends with this process.
func balancerNS(t *testing.T) (ns *netns.Handle, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	nl, err := ns.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	lo, err := nl.LinkByName("lo")
	if err == nil {
		err = nl.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ns, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.Fd())
}

func TestARealDaemonForwardsIsKilledAndAdopts(t *testing.T) {
	ns, path := balancerNS(t)
	dir := shortDir(t)
	l, err := ns.Listen(t.Context(), "tcp", "127.0.0.1:9001")
	if err != nil {
		t.Fatal(err)
	}
	backend := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "from the backend") })}
	go func() { _ = backend.Serve(l) }()
	t.Cleanup(func() { _ = backend.Close() })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	get := func() string {
		client := &http.Client{
			Timeout: 5 * time.Second,
			Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return ns.DialContext(ctx, network, addr)
			}},
		}
		resp, err := client.Get("http://127.0.0.1:8080/")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}

	config := testConfig(1)
	config.Services[0].VIP.Addr = netip.MustParseAddrPort("198.18.3.1:9001") // direct routing keeps the port
	config.Services[0].Backends[0].Addr = netip.MustParseAddrPort("127.0.0.1:9001")
	config.Services[1].Backends[0].Addr = config.Services[0].Backends[0].Addr
	config.Services[1].VIP.Addr = netip.MustParseAddrPort("127.0.0.1:8080")
	c := DaemonConfig{Lab: realLab, Dir: dir, BalancerNetNS: path, Interfaces: []string{"nope0"}, Self: self}
	client, pid := mustStart(t, c, true)
	configured, err := client.Configure(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	// The L4 plane cannot be opened: there is no such interface. It says so, and L7 is none the worse.
	_, err = client.Wait(t.Context(), WaitRequest{Revision: configured.Revision, Healthy: true, Timeout: 2 * time.Second})
	if StatusCode(err) != 504 || !strings.Contains(err.Error(), "plane l4 has revision 0") || strings.Contains(err.Error(), "plane l7") {
		t.Errorf("waiting for both planes: %v", err)
	}
	if got := get(); got != "from the backend" {
		t.Errorf("through L7: %s", got)
	}
	config.Services = config.Services[1:]
	proxy := planePID(t, client, config)

	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != "from the backend" {
		t.Errorf("through L7 after kill -9 of the daemon: %s", got)
	}
	client.Close()
	client, _ = mustStart(t, c, true)
	if again := planePID(t, client, config); again != proxy {
		t.Errorf("the new daemon started proxy %d instead of adopting %d", again, proxy)
	}
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := get(); got != "from the backend" {
		t.Errorf("through L7 after the daemon's end: %s", got)
	}
}

// planePID configures and returns the L7 process that serves then.
func planePID(t *testing.T, client *Client, config lb.Config) int {
	t.Helper()
	if _, err := client.Configure(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		status, err := client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range status.Planes {
			if p.Name == lb.L7 && p.State == PlaneApplied && p.Applied == status.Revision {
				return p.PID
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the L7 plane does not get the newest revision")
	return 0
}
