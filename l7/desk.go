package l7

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lbctl/internal/loop"
	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
)

// desk is where, in the model event, the listener thread puts clients that have
// said something, and where threads that have nothing to do take them. Its
// descriptor counts those that wait.
type desk struct {
	fd       int
	listener *listener
	resting  atomic.Int32 // threads that have no client

	mu      sync.Mutex
	queue   []visitor
	staying []*thread // that can do without their clients
}

// visitor is a client between two threads.
type visitor struct {
	fd     int
	front  *proxy.Front
	addr   netip.AddrPort
	reused bool // it has carried a request
	said   []byte
	due    int64 // when it has waited too long, of CLOCK_MONOTONIC; 0: never
}

func newDesk() (*desk, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK|unix.EFD_SEMAPHORE)
	if err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	return &desk{fd: fd}, nil
}

// close closes the desk and whoever still waits at it.
func (d *desk) close() {
	if d == nil {
		return
	}
	unix.Close(d.fd)
	d.turnAway(func(visitor) bool { return true })
}

// turnAway closes the connections of those who wait and are meant.
func (d *desk) turnAway(meant func(visitor) bool) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = slices.DeleteFunc(d.queue, func(v visitor) bool {
		if !meant(v) {
			return false
		}
		unix.Close(v.fd)
		v.front.Lose()
		return true
	})
}

// put queues a client.
func (d *desk) put(v visitor) {
	d.mu.Lock()
	d.queue = append(d.queue, v)
	d.call()
	d.mu.Unlock()
	ring(d.fd)
}

func (d *desk) get() (v visitor, ok bool) {
	var one [8]byte
	if _, err := unix.Read(d.fd, one[:]); err != nil {
		return v, false // another thread was faster
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return v, false // it was turned away
	}
	v, d.queue = d.queue[0], d.queue[1:]
	return v, true
}

// free counts threads that come to rest, or rest no more.
func (d *desk) free(n int32) {
	if d != nil {
		d.resting.Add(n)
	}
}

// take takes a client from the desk.
func (t *thread) take() {
	v, ok := t.desk.get()
	if !ok {
		return
	}
	s := t.add(v.fd)
	t.client = s
	k := t.core.Resume(s, v.front, v.addr, v.reused)
	s.side = k
	k.Data(v.said)
}

// giveBack hands a client that has nothing to do to the listener thread, after a stay.
func (t *thread) giveBack() {
	k, ok := t.client.side.(*proxy.ClientConn)
	if !ok || k.Activity() != proxy.Idle {
		t.stay.over(t, true)
		return
	}
	if t.stay.goesOn(t) || !k.Leave() {
		return
	}
	t.stay.over(t, false)
	s := t.client
	s.closed = true // its descriptor lives on
	t.client = nil
	t.desk.listener.keep(s.fd, k)
}

// listener is the thread of the model event that accepts clients, and holds those
// that wait for their next request. It implements runner.
type listener struct {
	*looper
	desk *desk
}

// newListener makes the thread, which tells in a slot how many clients it holds.
func newListener(d *desk, slot *scoreboard.Slot) (*listener, error) {
	w, err := newLooper(loop.Epoll, nil)
	if err != nil {
		return nil, err
	}
	l := &listener{w, d}
	w.handler = func(k *proxy.ClientConn) loop.Handler { return waiting{l, k} }
	d.listener = l
	w.loop.Post(func() { l.tell(slot) })
	return l, nil
}

func (l *listener) tell(slot *scoreboard.Slot) {
	now := l.loop.Now()
	l.desk.turnAway(func(v visitor) bool {
		late := v.due != 0 && v.due <= now
		if late {
			v.front.Service().Account.AddError()
		}
		return late
	})
	slot.SetConnections(l.core.Clients())
	l.loop.After(reportEvery, func() { l.tell(slot) })
}

// keep holds a client until it says something.
func (l *listener) keep(fd int, k *proxy.ClientConn) {
	front, addr, reused := k.Front(), k.Addr(), k.Reused()
	l.loop.Post(func() {
		c, err := l.loop.Adopt(fd, nil)
		if err != nil {
			unix.Close(fd)
			front.Lose()
			return
		}
		c.SetHandler(waiting{l, l.core.Resume(c, front, addr, reused)})
	})
}

// waiting is a client that waits at the listener thread.
type waiting struct {
	l *listener
	k *proxy.ClientConn
}

// Connected implements loop.Handler.
func (waiting) Connected(*loop.Conn) {}

// Data implements loop.Handler: a thread is to serve the client now.
func (w waiting) Data(c *loop.Conn, b []byte) {
	said, reused := append([]byte(nil), b...), w.k.Reused()
	if fd := c.Detach(); fd >= 0 && w.k.Leave() {
		f := w.k.Front()
		v := visitor{fd: fd, front: f, addr: w.k.Addr(), reused: reused, said: said}
		if patience := f.Service().HTTP.ClientHeadTimeout; patience > 0 {
			v.due = w.l.loop.Now() + int64(patience)
		}
		w.l.desk.put(v)
	}
}

// EOF implements loop.Handler.
func (w waiting) EOF(*loop.Conn) { w.k.EOF() }

// Drained implements loop.Handler.
func (w waiting) Drained(*loop.Conn) { w.k.Drained() }

// Expired implements loop.Handler.
func (w waiting) Expired(*loop.Conn) { w.k.Expired() }

// Closed implements loop.Handler.
func (w waiting) Closed(_ *loop.Conn, err error) { w.k.Closed(err) }
