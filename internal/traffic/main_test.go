package traffic

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"lbctl/internal/loop"
)

// TestMain lets the test binary play the parts of lbctl that are forked.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		var err error
		switch os.Getenv("LBCTL_TEST_LOOP") {
		case "epoll":
			kind = loop.Epoll
		case "io_uring":
			kind = loop.URing
		}
		switch os.Args[1] {
		case "load":
			err = RunLoad(ctx, os.Stdin, os.Stdout)
		case "server":
			err = serveForTest(ctx)
		default:
			os.Exit(m.Run())
		}
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveForTest prints its address and serves until its input ends.
func serveForTest(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	go func() { _, _ = os.Stdin.Read(make([]byte, 1)); cancel() }()
	body := int64(1024)
	if text := os.Getenv("LBCTL_TEST_BODY"); text != "" {
		if _, err := fmt.Sscan(text, &body); err != nil {
			return err
		}
	}
	s, err := Listen(ctx, ServerConfig{Name: "s1", Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Body: body})
	if err != nil {
		return err
	}
	fmt.Println(s.Addrs()[0])
	return s.Serve(ctx)
}

// startServer serves on loopback for as long as the test runs.
func startServer(t testing.TB, c ServerConfig) netip.AddrPort {
	t.Helper()
	if c.Listen == nil {
		c.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := Listen(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Addrs()[0]
}

// startServerProcess is for figures that need the server's CPU apart.
func startServerProcess(t testing.TB, env ...string) (netip.AddrPort, int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "server")
	cmd.Env = append(os.Environ(), env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); _ = cmd.Wait() })
	var addr string
	if _, err := fmt.Fscanln(stdout, &addr); err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(addr), cmd.Process.Pid
}
