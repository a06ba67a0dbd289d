package l7

import (
	"bufio"
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
)

// cpuOf is the CPU time that a process has had (proc(5): stat, utime and stime, in ticks of 10 ms).
func cpuOf(t *testing.T, pid int) time.Duration {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	ticks := 0
	for _, field := range f[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// While a service is removed, the thread that stays with one of its clients neither
// spins nor is held from the clients of others.
func TestTheRemovalOfAServiceHoldsNoThreadThatStays(t *testing.T) {
	l, p, s := proxyOf(t, Shape{Model: Event, Threads: 1, Start: 1, Processes: 1, MinSpare: 1, MaxSpare: 100}, nil)
	s.HTTP.ClientIdleTimeout = 30 * time.Second
	other := l.service("other", lb.RoundRobin)
	l.applyTo(p)
	running, err := p.Workers(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	gone, stays := rawDial(t, s.VIP.Addr), rawDial(t, other.VIP.Addr)
	in := bufio.NewReader(stays)
	if err := ask(stays, in, "/"); err != nil {
		t.Fatal(err)
	}
	if err := ask(gone, bufio.NewReader(gone), "/"); err != nil {
		t.Fatal(err)
	}
	rest := l.next()
	rest.Services = rest.Services[1:]
	if err := p.Apply(context.Background(), rest); err != nil {
		t.Fatal(err)
	}
	before, began := cpuOf(t, running.Processes[0].PID), time.Now()
	if err := ask(stays, in, "/"); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(began); waited > 400*time.Millisecond {
		t.Errorf("the other service answered after %v", waited)
	}
	time.Sleep(time.Until(began.Add(900 * time.Millisecond)))
	if spent := cpuOf(t, running.Processes[0].PID) - before; spent > 300*time.Millisecond {
		t.Errorf("in 900 ms with one request the worker had %v of CPU time", spent)
	}
}

func TestAConnectionThatClosesWhenDrainedIsFlushedAsItsPeerReads(t *testing.T) {
	board, err := scoreboard.Create(scoreboard.Sizes{Children: 1, Threads: 1, Cells: 1})
	if err != nil {
		t.Fatal(err)
	}
	th, err := newThread(board.Slot(0, 0), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = th.stop() }()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[1])
	const size = 1 << 20
	th.do(func(*proxy.Core) {
		s := th.add(ends[0])
		s.side = &proxy.BackendConn{} // that no request is on any more
		s.Write(make([]byte, size))
		s.CloseWhenDrained()
	})
	began, got := time.Now(), 0
	for buffer := make([]byte, 64<<10); ; {
		n, err := unix.Read(ends[1], buffer)
		if n <= 0 || err != nil {
			break
		}
		got += n
	}
	if took := time.Since(began); took > 900*time.Millisecond || got != size {
		t.Errorf("%d bytes came in %v, want %d at once", got, took, size)
	}
}
