package loop

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epoll is the engine over epoll(7). Connections are registered once, for
// everything and edge-triggered: readable and stuck remember what the kernel
// does not say twice.
type epoll struct {
	l      *Loop
	fd     int
	events [maxEvents]unix.EpollEvent
	coarse bool // the kernel has no epoll_pwait2
}

const (
	maxEvents   = 256
	connEvents  = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	mailSlot    = ^uint32(0)
	listenSlots = uint32(1) << 31 // slots from here on are listeners
)

const defaultScratch = 256 << 10

func newEpoll(l *Loop) (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	l.scratch = make([]byte, positive(l.options.Buffer, defaultScratch))
	e := &epoll{l: l, fd: fd}
	if errno := e.add(int32(l.mail.fd), mailSlot, 0, unix.EPOLLIN|unix.EPOLLET); errno != 0 {
		unix.Close(fd)
		return nil, fmt.Errorf("watch eventfd: %w", errno)
	}
	return e, nil
}

func (e *epoll) start() error { return nil }

func (e *epoll) stop() {}

func (e *epoll) close() error { return unix.Close(e.fd) }

func (e *epoll) turn(wait int64) error {
	e.l.sys.stats.Syscalls++
	r, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events)), maxEvents, 0, 0, 0)
	n := max(int(r), 0)
	if n == 0 && errno == 0 && wait != 0 {
		n, errno = e.sleep(wait)
	}
	if errno != 0 && errno != unix.EINTR {
		return fmt.Errorf("wait for epoll: %w", errno)
	}
	e.l.refresh()
	e.l.all = errno == 0 && n < maxEvents
	e.l.sys.stats.Events += uint64(n)
	e.mark(n)
	e.l.keepPace()
	for i := range n {
		e.event(&e.events[i])
	}
	return nil
}

// sleep waits for events, and lets the scheduler know.
func (e *epoll) sleep(wait int64) (int, unix.Errno) {
	s := &e.l.sys
	s.stats.Syscalls++
	s.stats.Waits++
	if wait > 0 && !e.coarse {
		ts := unix.NsecToTimespec(wait)
		n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events)), maxEvents, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno != unix.ENOSYS {
			return max(int(n), 0), errno
		}
		e.coarse = true
	}
	ms := int64(-1)
	if wait > 0 {
		ms = (wait + 999999) / 1000000
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events)), maxEvents, uintptr(ms), 0, 0)
	return max(int(n), 0), errno
}

func (e *epoll) event(ev *unix.EpollEvent) {
	slot := uint32(ev.Fd)
	switch {
	case slot == mailSlot:
		e.l.mail.read()
	case slot >= listenSlots:
		e.knocked(e.l.listeners[slot-listenSlots])
	default:
		if c := e.l.lookup(slot, uint32(ev.Pad)); c != nil {
			e.happened(c, ev.Events)
		}
	}
}

// happened handles an event of a connection.
func (e *epoll) happened(c *Conn, events uint32) {
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.flags |= readable
	}
	if events&(unix.EPOLLPRI|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.flags |= hangup
	}
	if c.flags&connecting != 0 {
		if events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) == 0 || !e.connected(c, events) {
			return
		}
	} else if c.flags&stuck != 0 && events&unix.EPOLLOUT != 0 {
		c.unstick()
	}
	switch {
	case c.flags&(readable|paused|closed|failed|eof) == readable:
		e.read(c)
	case c.flags&(closed|failed|eof) == eof && events&unix.EPOLLERR != 0:
		if errno := e.l.sys.fault(c.fd); errno != 0 {
			e.l.fail(c, errno)
		}
	}
}

// connected reports whether c is open after a connect has ended.
func (e *epoll) connected(c *Conn, events uint32) bool {
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		if errno := e.l.sys.fault(c.fd); errno != 0 {
			e.l.fail(c, errno)
			return false
		}
	}
	c.connected()
	return c.flags&closed == 0
}
