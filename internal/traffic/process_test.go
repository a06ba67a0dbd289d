package traffic

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func testSelf(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

func TestForkedGeneratorReportsWindowAndResult(t *testing.T) {
	addr, pid := startServerProcess(t)
	var events []Event
	var cpu []time.Duration
	r, err := RunProcess(t.Context(), (*exec.Cmd).Start, testSelf(t), Load{Targets: []netip.AddrPort{addr}, Connections: 2, KeepAlive: true, Warmup: 50 * time.Millisecond, Duration: 200 * time.Millisecond},
		func(e Event) {
			events = append(events, e)
			d, err := processCPU(pid)
			if err != nil {
				t.Error(err)
			}
			cpu = append(cpu, d)
		})
	if err != nil || len(events) != 2 || events[0] != Measuring || events[1] != Measured {
		t.Fatal(err, events)
	}
	if r.Requests == 0 || r.Servers["s1"] != r.Requests || r.Latency.Count() != int64(r.Requests) {
		t.Errorf("result %+v", r)
	}
	if cpu[1] <= cpu[0] {
		t.Errorf("the server's CPU clock went from %v to %v", cpu[0], cpu[1])
	}
}

func TestForkedGeneratorPassesItsErrorOn(t *testing.T) {
	_, err := RunProcess(t.Context(), (*exec.Cmd).Start, testSelf(t), Load{Targets: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:80")}, Connections: 1, Requests: 1}, nil)
	if err == nil || !strings.Contains(err.Error(), ErrForbiddenTarget.Error()) {
		t.Errorf("got %v", err)
	}
	if _, err := RunProcess(t.Context(), (*exec.Cmd).Start, "/nonexistent", Load{}, nil); err == nil {
		t.Error("a generator that does not exist ran")
	}
}

func TestForkedGeneratorStopsWithItsContext(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "a"})
	ctx, cancel := context.WithCancel(t.Context())
	start := time.Now()
	_, err := RunProcess(ctx, (*exec.Cmd).Start, testSelf(t), Load{Targets: []netip.AddrPort{addr}, Connections: 2, KeepAlive: true, Duration: time.Minute}, func(Event) { cancel() })
	if !errors.Is(err, context.Canceled) || time.Since(start) > time.Second {
		t.Errorf("returned %v after %v", err, time.Since(start))
	}
}

func TestForkedGeneratorDoesNotOutliveItsParent(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "a"})
	cmd := exec.Command(testSelf(t), "load")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte(`{"targets":["` + addr.String() + `"],"connections":1,"path":"/","keep_alive":true,"duration":60000000000,"timeout":1000000000,"hold":true}`)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Fatal("the generator did not run:", err)
	}
	in.Close() // what the kernel does when the parent is killed
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
		_ = cmd.Process.Kill()
		t.Error("the generator goes on without a parent")
	}
}
