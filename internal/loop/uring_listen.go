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

// settle asks the kernel to accept, or to stop.
func (u *uring) settle(ln *Listener) {
	switch {
	case ln.armed && !ln.flying:
		ln.flying = true
		e := u.entry(opAccept, ln.fd, tokenAccept.of(ln.index))
		e.ioprio, e.opFlags = acceptMulti, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC
	case !ln.armed && ln.flying && !ln.ending:
		ln.ending = true
		u.cancelOne(tokenAccept.of(ln.index))
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
