package systemd

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manager is the socket of a service manager.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func told(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func TestTheServiceManagerIsToldInItsWords(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@lbctl-test-notify-" + strconv.Itoa(os.Getpid())} {
		conn := manager(t, name)
		t.Setenv("NOTIFY_SOCKET", name)
		t.Setenv("WATCHDOG_USEC", "3000000")
		t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
		n, err := FromEnvironment()
		if err != nil {
			t.Fatal(err)
		}
		for _, variable := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
			if _, set := os.LookupEnv(variable); set {
				t.Errorf("%s is left for children", variable)
			}
		}
		if n.Watchdog() != 3*time.Second {
			t.Errorf("watchdog %s, want 3s", n.Watchdog())
		}
		for _, c := range []struct {
			say  func() error
			want string
		}{
			{func() error { return n.Ready("2 services") }, "READY=1\nSTATUS=2 services"},
			{func() error { return n.Status("first line\nREADY=1") }, "STATUS=first line"},
			{n.Alive, "WATCHDOG=1"},
			{func() error { return n.Stopping("ends") }, "STOPPING=1\nSTATUS=ends"},
		} {
			if err := c.say(); err != nil {
				t.Error(err)
			}
			if got := told(t, conn); got != c.want {
				t.Errorf("it was told %q, want %q", got, c.want)
			}
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReloadingTellsTheMonotonicTimeItBegan(t *testing.T) {
	name := filepath.Join(t.TempDir(), "notify")
	conn := manager(t, name)
	t.Setenv("NOTIFY_SOCKET", name)
	n, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	now := func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		return ts.Nano() / 1000
	}
	before := now()
	if err := n.Reloading(); err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(told(t, conn), "\n")
	at, err := strconv.ParseInt(strings.TrimPrefix(second, "MONOTONIC_USEC="), 10, 64)
	if first != "RELOADING=1" || err != nil || at < before || at > now() {
		t.Errorf("told %q and %q between %d and %d", first, second, before, now())
	}
}

func TestWithoutAServiceManagerNobodyIsTold(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "1000")
	n, err := FromEnvironment()
	if n != nil || err != nil {
		t.Fatalf("a notifier %v, %v", n, err)
	}
	for _, err := range []error{n.Ready(""), n.Reloading(), n.Status(""), n.Alive(), n.Stopping(""), n.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
	if n.Watchdog() != 0 {
		t.Error("it has a watchdog")
	}
}

func TestAnEnvironmentThatMakesNoSenseIsRefused(t *testing.T) {
	dir := t.TempDir()
	manager(t, filepath.Join(dir, "notify"))
	for _, c := range []struct{ socket, usec, want string }{
		{"vsock:2:1234", "", "NOTIFY_SOCKET"},
		{filepath.Join(dir, "nobody"), "", "reach the service manager"},
		{filepath.Join(dir, "notify"), "soon", "WATCHDOG_USEC"},
		{filepath.Join(dir, "notify"), "0", "WATCHDOG_USEC"},
	} {
		t.Setenv("NOTIFY_SOCKET", c.socket)
		t.Setenv("WATCHDOG_USEC", c.usec)
		if _, err := FromEnvironment(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q and %q: %v, want an error of %s", c.socket, c.usec, err, c.want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "notify"))
	t.Setenv("WATCHDOG_USEC", "1000")
	t.Setenv("WATCHDOG_PID", "1")
	if n, err := FromEnvironment(); err != nil || n.Watchdog() != 0 {
		t.Errorf("another process's watchdog: %v, %v", n.Watchdog(), err)
	}
}
