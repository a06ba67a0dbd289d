package l7

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/loop"
)

// twoLoops is a proxy of two worker processes, each a loop of one kind.
func twoLoops(t *testing.T, kind loop.Kind) (p *Plane, serve func()) {
	if got, why := loop.Probe(); kind == loop.URing && got != kind {
		t.Skip("no io_uring here: " + why)
	}
	l, p, s := proxyOf(t, Shape{Model: Loop, Processes: 2, Events: kind.String()}, nil)
	s.HTTP.ClientIdleTimeout = time.Minute
	l.applyTo(p)
	return p, func() {
		t.Helper()
		c := rawDial(t, s.VIP.Addr)
		if err := ask(c, bufio.NewReader(c), "/"); err != nil {
			t.Fatal(err)
		}
	}
}

// halt stops a process until the test ends or resume is called.
func halt(t *testing.T, pid int) (resume func()) {
	t.Helper()
	resume = func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
	t.Cleanup(resume)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(stat), ") T ") {
			err = fmt.Errorf("process %d has not stopped: %s", pid, stat)
		}
		return err
	})
	return resume
}

func TestWorkersOfModelLoopShareTheClients(t *testing.T) {
	for _, kind := range []loop.Kind{loop.Epoll, loop.URing} {
		t.Run(kind.String(), func(t *testing.T) {
			p, serve := twoLoops(t, kind)
			const clients = 128
			for range clients {
				serve()
			}
			eventually(t, 10*time.Second, func() error {
				all := clientsOf(t, p)
				if len(all) != 2 || all[0].Connections+all[1].Connections != clients || min(all[0].Connections, all[1].Connections) < clients/4 {
					return fmt.Errorf("of %d clients, one after another, processes have %+v", clients, all)
				}
				return nil
			})
		})
	}
}

func TestAWorkerOfModelLoopThatIsStoppedHoldsUpNoNewClient(t *testing.T) {
	for _, kind := range []loop.Kind{loop.Epoll, loop.URing} {
		t.Run(kind.String(), func(t *testing.T) {
			p, serve := twoLoops(t, kind)
			longest := time.Duration(0)
			for _, process := range clientsOf(t, p) {
				resume := halt(t, process.PID)
				for range 5 {
					began := time.Now()
					serve()
					longest = max(longest, time.Since(began))
				}
				resume()
			}
			t.Logf("a client waited for %v at most", longest)
		})
	}
}
