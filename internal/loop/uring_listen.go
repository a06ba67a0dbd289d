package loop

import "golang.org/x/sys/unix"

func (u *uring) listen(ln *Listener) error {
	ln.armed = true
	u.asks = append(u.asks, ln)
	return nil
}

func (u *uring) unlisten(ln *Listener) {
	ln.armed = false
	u.asks = append(u.asks, ln)
}

// settle asks the kernel to accept or, where loops share the socket, to tell who comes,
// or to stop that. It tells once: a poll that has ended leaves their line, and the next
// one goes to its end. So the kernel wakes them in turns, and one that does not
// run, once. A multishot accept stays where it is, and the first in the line would get
// every client, even if it has been stopped; it is what costs least for a loop that is alone
// (docs/l7-performance.md).
func (u *uring) settle(ln *Listener) {
	switch {
	case ln.armed && !ln.flying && u.l.options.Alone:
		ln.flying = true
		e := u.entry(opAccept, ln.fd, tokenListen.of(ln.index))
		e.ioprio, e.opFlags = acceptMulti, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC
	case ln.armed && !ln.flying:
		ln.flying = true
		u.entry(opPollAdd, ln.fd, tokenListen.of(ln.index)).opFlags = unix.POLLIN | unix.EPOLLEXCLUSIVE
	case !ln.armed && ln.flying && !ln.ending:
		ln.ending = true
		u.cancelOne(tokenListen.of(ln.index))
	}
}

// accepted handles a connection that the kernel has accepted. That tells no
// address: it would have to be put somewhere.
func (u *uring) accepted(ln *Listener, e *cqe) {
	if e.flags&cqeMore == 0 {
		ln.flying, ln.ending = false, false
		u.asks = append(u.asks, ln)
	}
	if e.res >= 0 {
		if u.l.sys.peer(e.res) != 0 {
			u.l.sys.close(e.res) // it has gone again
			return
		}
		ln.accepted(e.res, u.l.sys.getAddr())
		return
	}
	if errno := unix.Errno(-e.res); ln.armed && errno != unix.ECANCELED {
		ln.refused(errno)
	}
}

// knocked handles the end of a listener's poll. What it left waiting would take an
// iteration of its own, which costs more than asking once too often.
func (u *uring) knocked(ln *Listener, e *cqe) {
	ln.flying, ln.ending = false, false
	u.asks = append(u.asks, ln)
	switch errno := unix.Errno(max(-e.res, 0)); {
	case errno == 0:
		ln.acceptSome(maxBurst)
	case ln.armed && errno != unix.ECANCELED:
		ln.refused(errno)
	}
}
