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

// settle asks the kernel to tell who comes, or to stop that. It tells once: a poll
// that has ended leaves the line of the loops that share the socket, and the next
// one goes to its end. So the kernel wakes them in turns, and one that does not
// run, once. A multishot accept would stay where it is, and the first in the line get
// every client, even if it has been stopped.
func (u *uring) settle(ln *Listener) {
	switch {
	case ln.armed && !ln.flying:
		ln.flying = true
		u.entry(opPollAdd, ln.fd, tokenListen.of(ln.index)).opFlags = unix.POLLIN | unix.EPOLLEXCLUSIVE
	case !ln.armed && ln.flying && !ln.ending:
		ln.ending = true
		u.cancelOne(tokenListen.of(ln.index))
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
