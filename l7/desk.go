package l7

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
)

// desk is where, in the model event, the listener thread puts clients that have
// said something, and where threads that have nothing to do take them.
type desk struct {
	fd       int // an eventfd: each write wakes one of the threads at rest
	listener *listener
	board    *scoreboard.Board
	slot     int // of the process

	mu      sync.Mutex
	queue   []visitor
	resting int       // threads that have no client, and have looked at the queue
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

func newDesk(board *scoreboard.Board, slot int) (*desk, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	return &desk{fd: fd, board: board, slot: slot}, nil
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
	wake := d.resting > 0
	d.mu.Unlock()
	if wake {
		ring(d.fd)
	}
}

// rest notes that a thread comes to rest, unless a client waits: then it gets that one.
func (d *desk) rest() (v visitor, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v, ok = d.first(); !ok {
		d.resting++
	}
	return v, ok
}

// rise notes that a thread rests no more. It gets a client, if one waits and it has none. If it has one from
// elsewhere, it may be the one that was woken for who waits, and wakes another.
func (d *desk) rise(busy bool) (v visitor, ok bool) {
	d.mu.Lock()
	d.resting--
	if !busy {
		v, ok = d.first()
		d.mu.Unlock()
		return v, ok
	}
	d.call()
	wake := len(d.queue) > 0 && d.resting > 0
	d.mu.Unlock()
	if wake {
		ring(d.fd)
	}
	return v, false
}

// first is who has waited longest. d.mu is locked.
func (d *desk) first() (v visitor, ok bool) {
	if len(d.queue) == 0 {
		return v, false
	}
	v, d.queue = d.queue[0], d.queue[1:]
	return v, true
}

// next finds the thread a client: one that waits at the desk, or whoever comes first, there or at a socket. To accept
// without being woken, before resting, did not pay.
func (t *thread) next() {
	if v, ok := t.desk.rest(); ok {
		t.take(v)
		return
	}
	listens := len(t.fronts) > 0
	if listens {
		t.desk.board.Rest(t.desk.slot, +1)
	}
	t.rest()
	if listens {
		t.desk.board.Rest(t.desk.slot, -1)
	}
	if v, ok := t.desk.rise(t.client != nil); ok {
		t.take(v)
	}
}

// take goes on with a client from the desk.
func (t *thread) take(v visitor) {
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
