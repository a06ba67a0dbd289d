package ctl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// TestMain lets the test binary stand in for lbctl: as `BINARY daemon --config
// FILE` it is a daemon, as `BINARY l7-proxy --socket SOCKET` a proxy, as
// `BINARY l7-worker …` a worker of it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "l7-worker" {
		if err := realWorker(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "lbctl:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	verbs := map[string]func(string) error{"daemon": testDaemon, "l7-proxy": realProxy}
	if verb, ok := verbs[os.Args[min(1, len(os.Args)-1)]]; ok && len(os.Args) >= 4 {
		if err := verb(os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "lbctl:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testDaemon(path string) error {
	c, err := LoadDaemonConfig(path)
	if err != nil {
		return err
	}
	if c.Lab == "doomed" {
		return errors.New("this lab is doomed")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	endWithTest(c.Dir, stop)
	if c.Lab == realLab {
		return RunDaemon(ctx, c)
	}
	unlock, err := lockFile(c.lock())
	if err != nil {
		return err
	}
	defer unlock()
	api, err := inheritedListener()
	if err != nil {
		return err
	}
	f := &fixture{net: &fakeNet{}, l4: &fakePlane{name: lb.L4}, l7: &fakePlane{name: lb.L7}, file: c.state()}
	return runDaemon(ctx, c, testOptions(f), api)
}

// starter starts daemons for StartDaemon and ends those that are left.
func starter(t *testing.T) func(*exec.Cmd) error {
	return func(cmd *exec.Cmd) error {
		if err := cmd.Start(); err != nil {
			return err
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return nil
	}
}

func mustStart(t *testing.T, c DaemonConfig, wantStarted bool) (client *Client, pid int) {
	t.Helper()
	client, started, err := StartDaemon(t.Context(), c, starter(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	v, err := client.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if started != wantStarted {
		t.Errorf("started is %v", started)
	}
	return client, v.PID
}

func TestADaemonIsStartedKeptReplacedAndResumed(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := DaemonConfig{Lab: "test", Dir: shortDir(t), Self: self}
	client, first := mustStart(t, c, true)
	configured, err := client.Configure(t.Context(), testConfig(3))
	if err != nil {
		t.Fatal(err)
	}
	if session, err := syscall.Getpgid(first); err != nil || session != first {
		t.Errorf("the daemon %d is in group %d, not a session of its own: %v", first, session, err)
	}

	if _, same := mustStart(t, c, false); same != first {
		t.Errorf("the same config replaced daemon %d by %d", first, same)
	}

	c.Interfaces = []string{"eth0", "eth1"}
	client, second := mustStart(t, c, true)
	if second == first {
		t.Error("another config kept the daemon")
	}
	if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	client.Close()
	client, third := mustStart(t, c, true)
	status, err := client.Wait(t.Context(), WaitRequest{Revision: configured.Revision, Healthy: true, Timeout: 10 * time.Second})
	if err != nil || third == second || len(status.Services) != 2 {
		t.Errorf("after kill -9: %+v, %v", status, err)
	}
}

func TestADaemonServesTheListenerOfItsStarter(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c := DaemonConfig{Lab: "test", Dir: shortDir(t), Self: self, API: addr, Token: "secret"}
	_, pid := mustStart(t, c, true)
	client := DialTCP(addr, "secret")
	defer client.Close()
	if v, err := client.Version(t.Context()); err != nil || v.PID != pid {
		t.Errorf("over TCP: %+v, %v", v, err)
	}
	c.Interfaces = []string{"eth0"} // the successor listens at the same address
	_, pid = mustStart(t, c, true)
	if v, err := client.Version(t.Context()); err != nil || v.PID != pid {
		t.Errorf("over TCP after a replacement: %+v, %v", v, err)
	}
}

func TestADaemonThatDoesNotComeUpIsExplainedByItsLog(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := DaemonConfig{Lab: "doomed", Dir: shortDir(t), Self: self}
	start := time.Now()
	_, _, err = StartDaemon(t.Context(), c, starter(t))
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "lbctl: this lab is doomed") {
		t.Errorf("error: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s to notice", took)
	}
}

func TestDaemonConfigsAreChecked(t *testing.T) {
	good := DaemonConfig{Lab: "test", Dir: "/run", Self: "/lbctl"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*DaemonConfig){
		"no lab":             func(c *DaemonConfig) { c.Lab = "" },
		"a relative dir":     func(c *DaemonConfig) { c.Dir = "run" },
		"a relative self":    func(c *DaemonConfig) { c.Self = "lbctl" },
		"a dir too deep":     func(c *DaemonConfig) { c.Dir = "/" + strings.Repeat("d", 100) },
		"TCP without tokens": func(c *DaemonConfig) { c.API = ":80" },
	} {
		c := good
		spoil(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
