package loop

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxTurn is how many connections a loop accepts before it goes to the end of the line.
const maxTurn = 16

// listen asks for a listener's events, level-triggered. Of several loops that
// share the socket the kernel wakes one: of those that wait for events, the one
// that has been in the line for longest.
func (e *epoll) listen(ln *Listener) error {
	if ln.armed {
		return nil
	}
	if errno := e.add(ln.fd, listenSlots+ln.index, 0, unix.EPOLLIN|unix.EPOLLEXCLUSIVE); errno != 0 {
		return errno
	}
	ln.armed, ln.since = true, 0
	return nil
}

func (e *epoll) unlisten(ln *Listener) {
	if ln.armed {
		ln.armed = false
		e.control(unix.EPOLL_CTL_DEL, ln.fd, nil)
	}
}

func (e *epoll) control(op int, fd int32, ev *unix.EpollEvent) unix.Errno {
	e.l.sys.stats.Syscalls++
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(e.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return errno
}

// knocked accepts as many connections as came the last time, since asking once more
// than there are costs a system call; if there are still more, their number doubles
// and the level-triggered event comes again. The first in the line stays the first, so that it leaves the
// place to others from time to time, as nginx does: it would get every client
// who comes while it waits.
func (e *epoll) knocked(ln *Listener) {
	n := ln.acceptSome(ln.burst)
	if n == ln.burst {
		ln.burst = min(2*n, maxBurst)
	} else {
		ln.burst = max(n, 1)
	}
	ln.since += n
	if ln.armed && ln.since >= maxTurn {
		e.unlisten(ln)
		ln.arm()
	}
}
