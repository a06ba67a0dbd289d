package l7

import (
	"net/netip"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/proxy"
	"lbctl/internal/rawsock"
	"lbctl/internal/scoreboard"
	"lbctl/internal/splice"
)

// readBuffer is what a thread reads at once: an answer of 64 KiB with its head. The kernel
// gives it memory only as far as it is used.
const readBuffer = 128 << 10

// thread is a thread of the models prefork, worker and event: it serves one client
// at a time, and waits for it, and for nobody else, in the kernel. It implements
// runner and proxy.Driver.
type thread struct {
	core    *proxy.Core
	slot    *scoreboard.Slot
	bell    *bell
	desk    *desk // where clients also come from in event; nil: none
	epoll   int   // of what a thread without a client waits for
	fronts  []*front
	timers  []*timer
	sockets []*socket // the client's, and those to backends, also the ones kept
	client  *socket   // nil: none
	polls   []unix.PollFd
	scratch []byte // of which Data has been given the first used bytes
	used    int
	pipe    splice.Pipe
	pair    [][]byte // of carry
	vector  rawsock.Vector
	now     int64 // CLOCK_MONOTONIC
	looked  int64 // when connections that are kept were looked at
	heard   int64 // when it last heard everybody, or its client
	stay    stay
	ending  bool
	done    chan struct{}
}

func newThread(slot *scoreboard.Slot, d *desk) (*thread, error) {
	b, err := newBell()
	if err != nil {
		return nil, err
	}
	t := &thread{slot: slot, bell: b, desk: d, scratch: make([]byte, readBuffer), done: make(chan struct{})}
	t.core = proxy.NewCore(t, seed())
	t.core.CountIn(slot)
	t.stay.end = func() { t.stay.until = 0 }
	if t.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		err = t.await(b.fd, 0)
	}
	if err == nil && d != nil {
		err = t.await(d.fd, unix.EPOLLEXCLUSIVE|unix.EPOLLET)
	}
	if err != nil {
		unix.Close(t.epoll)
		unix.Close(b.fd)
		return nil, err
	}
	slot.Enter(0)
	go t.run()
	return t, nil
}

// await wakes the thread when a descriptor has something, if it has no client.
// EPOLLEXCLUSIVE wakes one thread for a connection, not all of them.
func (t *thread) await(fd int, how uint32) error {
	return unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | how, Fd: int32(fd)})
}

// do implements runner.
func (t *thread) do(f func(*proxy.Core)) {
	ran := make(chan struct{})
	t.bell.post(func() {
		defer close(ran)
		f(t.core)
	})
	select {
	case <-ran:
	case <-t.done:
	}
}

// listen implements runner.
func (t *thread) listen(f *front) error {
	t.fronts = append(t.fronts, f)
	err := t.await(f.descriptor, unix.EPOLLEXCLUSIVE)
	if t.desk != nil {
		t.desk.board.Come(t.desk.slot)
	}
	return err
}

// unlisten implements runner.
func (t *thread) unlisten(f *front) {
	if i := slices.Index(t.fronts, f); i >= 0 {
		t.fronts = slices.Delete(t.fronts, i, i+1)
		_ = unix.EpollCtl(t.epoll, unix.EPOLL_CTL_DEL, f.descriptor, nil)
	}
}

// stop implements runner.
func (t *thread) stop() error {
	t.bell.post(func() { t.ending = true })
	<-t.done
	for _, s := range t.sockets {
		s.Close()
	}
	t.pipe.Close()
	return t.bell.close()
}

func (t *thread) run() {
	runtime.LockOSThread()
	punctual()
	polite()
	defer close(t.done)
	defer unix.Close(t.epoll)
	for t.tick(); !t.ending; { // each wait ticks, too
		switch {
		case t.client != nil || t.flushes():
			t.serve()
		case t.desk != nil:
			t.next()
		default:
			t.rest()
		}
		t.sweep()
	}
	t.stay.over(t, false)
}

func (t *thread) tick() { t.now = scoreboard.Now() }

// rest waits for a client.
func (t *thread) rest() {
	t.slot.Set(scoreboard.Waiting, t.now)
	var events [4]unix.EpollEvent
	n, _ := unix.EpollWait(t.epoll, events[:], milliseconds(t.patience()))
	t.tick()
	t.heard = t.now
	rang := false
	for _, e := range events[:max(n, 0)] {
		switch fd := int(e.Fd); {
		case fd == t.bell.fd:
			rang = true
		case t.client == nil: // one is enough; the other waits, or finds another thread
			t.accept(fd)
		}
	}
	if rang { // last, for it may be told to listen no more, while a client waits whom it was woken for
		t.bell.answer()
	}
}

// accept takes a client that waits at a listening socket.
func (t *thread) accept(listener int) {
	i := slices.IndexFunc(t.fronts, func(f *front) bool { return f.descriptor == listener })
	if i < 0 {
		return
	}
	how := unix.SOCK_CLOEXEC
	if t.desk != nil { // its client may leave the thread, which listens to the bell, too, between requests
		how |= unix.SOCK_NONBLOCK
	}
	fd, peer, err := rawsock.Accept(listener, how)
	if err == unix.EMFILE || err == unix.ENFILE {
		time.Sleep(recess) // the connection stays where it is, and would wake us at once
	}
	if err != 0 {
		return // another thread was faster, or the client has gone
	}
	s := t.add(fd)
	if t.client = s; t.desk == nil {
		s.blocks = true
		s.patient()
	}
	s.side = t.core.Accept(s, &t.fronts[i].Front, peer)
}

// recess is how long accepting pauses when descriptors have run out.
const recess = 10 * time.Millisecond

// add makes a socket of a descriptor.
func (t *thread) add(fd int) *socket {
	s := &socket{thread: t, fd: fd}
	t.sockets = append(t.sockets, s)
	return s
}

// lookEvery is how often, in nanoseconds, connections to backends that nobody uses are
// looked at: waiting for them, too, is dear, and who takes one makes sure of it.
const lookEvery = int64(time.Second)

// serve waits for the client, or for the backend that answers it, and handles
// what came.
func (t *thread) serve() {
	t.slot.Set(t.letter(), t.now)
	wait := t.patience()
	if s := t.speaker(wait); s != nil {
		s.await()
	} else {
		t.poll(wait)
	}
}

// poll waits so many nanoseconds, -1 for ever, for whoever may say something.
func (t *thread) poll(wait int64) {
	sockets := t.sockets
	look := t.now-t.looked >= lookEvery
	if look {
		t.looked = t.now
	}
	t.polls = append(t.polls[:0], unix.PollFd{Fd: int32(t.bell.fd), Events: unix.POLLIN})
	for _, s := range sockets {
		p := unix.PollFd{Fd: int32(s.fd), Events: s.events()}
		switch {
		case p.Events == 0:
			p.Fd = -1 // a peer that hung up would wake us for nothing
		case !look && s.kept():
			p.Fd = -1
			if wait < 0 || wait > lookEvery {
				wait = lookEvery
			}
		}
		t.polls = append(t.polls, p)
	}
	n, _ := unix.Poll(t.polls, milliseconds(wait))
	t.tick()
	if n <= 0 {
		return
	}
	t.heard = t.now
	if t.polls[0].Revents != 0 {
		t.bell.answer()
	}
	for i, p := range t.polls[1:] {
		if s := sockets[i]; p.Revents != 0 && !s.closed {
			s.happened(p.Revents)
		}
	}
}

// flushes reports whether a connection that is to close has something pending.
func (t *thread) flushes() bool {
	return slices.ContainsFunc(t.sockets, func(s *socket) bool { return s.closing })
}

// sweep tells what has failed or expired, and forgets what is closed.
func (t *thread) sweep() {
	for i := 0; i < len(t.sockets); i++ { // a call may add some
		s := t.sockets[i]
		switch {
		case s.closed:
		case s.err != nil:
			s.lastWords()
			if open := !s.closed && !s.closing; open {
				s.Close()
				s.side.Closed(s.err)
			} else {
				s.Close()
			}
		case s.due != 0 && s.due <= t.now:
			if s.due = 0; s.closing {
				s.Close()
			} else {
				s.side.Expired()
			}
		}
	}
	t.sockets = slices.DeleteFunc(t.sockets, func(s *socket) bool { return s.closed })
	t.runTimers()
	if t.client == nil {
		return
	}
	if t.client.closed {
		t.client = nil
		t.stay.over(t, false)
	} else if t.desk != nil {
		t.giveBack()
	}
}

// patience is for how many nanoseconds nothing expires, -1 for ever.
func (t *thread) patience() int64 {
	first := t.stay.until
	for _, s := range t.sockets {
		if s.due != 0 && (first == 0 || s.due < first) {
			first = s.due
		}
		if s.err != nil {
			return 0
		}
	}
	for _, m := range t.timers {
		if first == 0 || m.due < first {
			first = m.due
		}
	}
	if first == 0 {
		return -1
	}
	return max(first-t.now, 0)
}

// milliseconds are those after which so many nanoseconds have passed for sure.
func milliseconds(ns int64) int {
	if ns <= 0 {
		return int(ns)
	}
	return int(ns/int64(time.Millisecond)) + 1
}

// Connect implements proxy.Driver.
func (t *thread) Connect(b *proxy.BackendConn, addr netip.AddrPort) proxy.Conn {
	fd, err := dial(addr)
	s := t.add(fd)
	s.side, s.made, s.connecting, s.err = b, b.Connected, true, err
	return s
}

// Alive implements proxy.Driver.
func (t *thread) Alive(c proxy.Conn) bool { return rawsock.Peek(c.(*socket).fd) == unix.EAGAIN }

// Now implements proxy.Driver.
func (t *thread) Now() int64 { return t.now }
