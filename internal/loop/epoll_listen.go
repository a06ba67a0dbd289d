package loop

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxBurst bounds how many connections are accepted in a row.
const maxBurst = 64

// listen asks for a listener's events, level-triggered; of several loops that
// share the socket the kernel wakes one.
func (e *epoll) listen(ln *Listener) error {
	if ln.armed {
		return nil
	}
	if errno := e.add(ln.fd, listenSlots+ln.index, 0, unix.EPOLLIN|unix.EPOLLEXCLUSIVE); errno != 0 {
		return errno
	}
	ln.armed = true
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

// acceptSome accepts as many connections as came the last time, since asking
// once more than there are costs a system call; if there are still more, their
// number doubles and the level-triggered event comes again.
func (e *epoll) acceptSome(ln *Listener) {
	for i := range ln.burst {
		if !ln.armed {
			return
		}
		fd, peer, errno := e.l.sys.accept(ln.fd)
		switch errno {
		case 0:
			ln.accepted(fd, peer)
		case unix.EAGAIN:
			ln.burst = max(i, 1)
			return
		default:
			ln.refused(errno)
		}
	}
	ln.burst = min(2*ln.burst, maxBurst)
}
