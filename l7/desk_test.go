package l7

import (
	"bufio"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
)

// deskOf makes a desk and threads that stay with their clients.
func deskOf(t *testing.T, staying int) (*desk, []*thread) {
	board, err := scoreboard.Create(scoreboard.Sizes{Children: 1, Threads: 1, Cells: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { board.Close() })
	d, err := newDesk(board, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	var threads []*thread
	for range staying {
		b, err := newBell()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(b.fd) })
		th := &thread{desk: d, bell: b, now: scoreboard.Now()}
		th.stay.end = func() { th.stay.until = 0 }
		if !th.stay.goesOn(th) {
			t.Fatal("a thread that nobody needs does not stay")
		}
		threads = append(threads, th)
	}
	return d, threads
}

// visit makes a client that waits until due, and the client's own end.
func visit(t *testing.T, due int64) (v visitor, client int) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(ends[1]) })
	return visitor{fd: ends[0], front: &proxy.Front{}, due: due}, ends[1]
}

func TestAThreadLeavesItsClientForOneThatNeedsIt(t *testing.T) {
	d, threads := deskOf(t, 3)
	d.rest()
	first, _ := visit(t, 0)
	d.put(first) // for the one that rests
	if len(d.staying) != 3 {
		t.Fatalf("%d threads stay while one is at rest, want 3", len(d.staying))
	}
	second, _ := visit(t, 0)
	d.put(second)
	if len(d.staying) != 2 {
		t.Fatalf("%d threads stay when one is needed, want 2", len(d.staying))
	}
	left := 0
	for _, th := range threads {
		th.bell.answer()
		if !th.stay.goesOn(th) {
			left++
		}
		th.stay.over(th, false)
	}
	if left != 1 || len(d.staying) != 0 {
		t.Errorf("%d threads were called, and %d are still on the list; want 1 and 0", left, len(d.staying))
	}
	if th := threads[0]; th.stay.goesOn(th) {
		t.Error("a thread stays while more clients wait than threads are at rest")
	}
}

func TestWhenTheThreadThatWasCalledIsBusyAnotherIsCalled(t *testing.T) {
	d, _ := deskOf(t, 2)
	v, _ := visit(t, 0)
	called := d.staying[1]
	d.put(v)
	called.stay.over(called, true) // its client has spoken first
	if len(d.staying) != 0 {
		t.Errorf("%d threads stay, want none: the one that was called has to do", len(d.staying))
	}
}

func TestAStayEnds(t *testing.T) {
	_, threads := deskOf(t, 1)
	th := threads[0]
	th.now += int64(stayTime)
	if th.stay.goesOn(th) || th.patience() != -1 {
		t.Errorf("after its time it goes on, or the thread does not sleep any more (%d)", th.patience())
	}
}

func TestWhoWaitsTooLongForAThreadIsTurnedAway(t *testing.T) {
	d, _ := deskOf(t, 0)
	late, client := visit(t, 1)
	early, _ := visit(t, 3)
	d.put(late)
	d.put(early)
	d.turnAway(func(v visitor) bool { return v.due <= 2 })
	if n, err := unix.Read(client, make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("the client who waited too long reads %d bytes, %v; want the end", n, err)
	}
	if v, ok := d.rest(); !ok || v.fd != early.fd {
		t.Errorf("the next one is %+v, %t", v, ok)
	}
	if _, ok := d.rest(); ok {
		t.Error("who was turned away is still there")
	}
	unix.Close(early.fd)
}

func TestAClientDoesNotWaitForAThreadForEver(t *testing.T) {
	handler, arrived, release := holding()
	l, p, s := proxyOf(t, Shape{Model: Event, Threads: 1, Start: 1, Processes: 1, MinSpare: 1, MaxSpare: 100}, handler)
	s.HTTP.ClientHeadTimeout = 300 * time.Millisecond
	l.applyTo(p)
	held := l.hold(s)
	<-arrived
	began := time.Now()
	c := rawDial(t, s.VIP.Addr)
	if err := ask(c, bufio.NewReader(c), "/"); err == nil {
		t.Error("a request was answered while the only thread had another one")
	}
	if waited := time.Since(began); waited < 200*time.Millisecond || waited > 3*time.Second {
		t.Errorf("the connection ended after %v, want some 300 ms", waited)
	}
	close(release)
	if err := <-held; err != nil {
		t.Errorf("the request that had the thread: %v", err)
	}
	c = rawDial(t, s.VIP.Addr)
	if err := ask(c, bufio.NewReader(c), "/"); err != nil {
		t.Errorf("and the next one: %v", err)
	}
}
