package loop

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// recess is how long accepting pauses when descriptors have run out, or when the
// socket does not listen any more.
const recess = 100 * time.Millisecond

// Listener accepts connections. Of several loops that listen at one socket, in
// whatever process, the kernel wakes one for each client, in turns. A client for whom
// it has woken one that does not run waits until the next client comes, or
// until another loop looks.
type Listener struct {
	l      *Loop
	fd     int32
	index  uint32
	burst  int // epoll: how many to accept in a row
	since  int // epoll: accepted since it went to the end of the line
	accept func(c *Conn, peer netip.AddrPort)
	armed  bool // the kernel is to tell who comes
	flying bool // io_uring: it has been asked to
	ending bool // io_uring: and to stop
	paused bool
	closed bool
	rest   *Timer // of a recess
}

// Listen accepts connections at fd, a listening socket that stays the caller's.
// accept must set c's handler or close it. Connections inherit the socket's
// TCP_NODELAY.
func (l *Loop) Listen(fd int, accept func(c *Conn, peer netip.AddrPort)) (*Listener, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("listen at descriptor %d: %w", fd, err)
	}
	ln := &Listener{l: l, fd: int32(fd), burst: 1, accept: accept, index: l.listenerSlot()}
	if err := l.io.listen(ln); err != nil {
		return nil, fmt.Errorf("listen at descriptor %d: %w", fd, err)
	}
	if int(ln.index) == len(l.listeners) {
		l.listeners = append(l.listeners, nil)
	}
	l.listeners[ln.index] = ln
	return ln, nil
}

// listenerSlot is that of a listener that is closed, and that the kernel tells nothing of
// any more, or a new one.
func (l *Loop) listenerSlot() uint32 {
	i := slices.IndexFunc(l.listeners, func(ln *Listener) bool { return ln.closed && !ln.flying })
	if i < 0 {
		i = len(l.listeners)
	}
	return uint32(i)
}

// Pause stops accepting until Resume. For a loop that is alone io_uring may have accepted
// connections already: they still come. So they do after Close.
func (ln *Listener) Pause() {
	ln.paused = true
	ln.l.io.unlisten(ln)
}

// Resume goes on accepting.
func (ln *Listener) Resume() {
	if ln.paused && !ln.closed {
		ln.paused = false
		ln.arm()
	}
}

// Close stops accepting for ever. The descriptor stays open.
func (ln *Listener) Close() {
	ln.closed = true
	ln.Pause()
}

// Look accepts who waits without the kernel's having told this loop: it may have told
// another one, which does not run or has stopped listening in the same moment. It
// costs a system call.
func (ln *Listener) Look() { ln.acceptSome(maxBurst) }

func (ln *Listener) arm() {
	if ln.paused || ln.rest != nil {
		return
	}
	if ln.l.io.listen(ln) != nil {
		ln.pauseAWhile()
	}
}

// maxBurst bounds how many connections are accepted in a row, so that a loop that
// was woken for others of many who come at once finds some left.
const maxBurst = 8

// acceptSome accepts as many connections as there are, most at the most, and returns
// how many those were.
func (ln *Listener) acceptSome(most int) (n int) {
	for range most {
		if !ln.armed {
			return n
		}
		fd, peer, errno := ln.l.sys.accept(ln.fd)
		switch errno {
		case 0:
			n++
			ln.accepted(fd, peer)
		case unix.EAGAIN:
			return n
		default:
			ln.refused(errno)
		}
	}
	return n
}

// refused handles what accept(2) may return. Most of it is about the connection
// that was to be accepted and no more than that.
func (ln *Listener) refused(errno unix.Errno) {
	switch errno {
	case unix.ECONNABORTED, unix.EINTR, unix.EPROTO, unix.EPERM, unix.ENETDOWN, unix.ENOPROTOOPT, unix.EHOSTDOWN,
		unix.ENONET, unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH:
	default:
		ln.pauseAWhile()
	}
}

// pauseAWhile waits for descriptors to be closed.
func (ln *Listener) pauseAWhile() {
	ln.l.sys.stats.AcceptStops++
	ln.l.io.unlisten(ln)
	ln.rest = ln.l.After(recess, func() {
		ln.rest = nil
		ln.arm()
	})
}

// accepted makes a connection of fd.
func (ln *Listener) accepted(fd int32, peer netip.AddrPort) {
	l := ln.l
	l.sys.stats.Accepted++
	c := l.take(fd, nil, peer)
	ln.accept(c, peer)
	if c.flags&closed != 0 {
		return
	}
	if c.h == nil {
		c.Close()
		return
	}
	l.io.adopt(c, true)
}
