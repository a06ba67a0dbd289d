package loop

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/internal/splice"
)

// uring is the engine over io_uring(7). A connection's receive stays armed and
// the kernel picks a buffer when data is there; short writes wait for the end of
// the iteration; one io_uring_enter then submits all and collects all.
//
// What a connection wants from the kernel is found by looking at it, in visit,
// and not queued: so wishes merge, and the order of a connection's entries
// follows from its state.
type uring struct {
	l       *Loop
	ring    *ring
	buffers *buffers
	addrs   [][unix.SizeofSockaddrInet6]byte // by submission entry
	asks    []*Listener                      // to be settled
}

// maxMore is how often an iteration asks again when the kernel has more. Since Linux
// 6.13 one call completes but some twenty receives. More at a time are dealt with for less,
// and it is known for longer of which connections nothing has come.
const maxMore = 3

const (
	ringEntries = 1024
	batchLimit  = 8 << 10                    // above it, a copy costs more than a system call
	readScratch = splice.Head + splice.Least // of what is read directly
)

// token is an entry's user data: what completes, and for whom. The upper half is
// for withdraw.
type token uint8

const (
	tokenNone token = iota
	tokenMail
	tokenListen
	tokenReceive
	tokenSend
	tokenPoll
	tokenDial
)

const slotBits = 24

func (t token) of(slot uint32) uint64 { return uint64(t)<<slotBits | uint64(slot) }

func newURing(l *Loop) (*uring, error) {
	r, err := newRing(ringEntries)
	if err != nil {
		return nil, err
	}
	b, err := newBuffers(r, positive(l.options.Buffer, defaultBuffers), l.options.whole)
	if err != nil {
		r.close()
		return nil, err
	}
	l.batch = batchLimit
	l.scratch = make([]byte, readScratch)
	return &uring{l: l, ring: r, buffers: b, addrs: make([][unix.SizeofSockaddrInet6]byte, len(r.sqes))}, nil
}

func (u *uring) start() error {
	if err := u.ring.enable(); err != nil {
		return err
	}
	u.watchMail()
	return nil
}

func (u *uring) watchMail() {
	e := u.entry(opPollAdd, int32(u.l.mail.fd), tokenMail.of(0))
	e.opFlags, e.len = unix.POLLIN, pollMulti
}

// entry returns an entry to be filled further. A full ring is submitted first.
func (u *uring) entry(op uint8, fd int32, data uint64) *sqe {
	e := u.ring.next()
	for e == nil {
		u.submit()
		e = u.ring.next()
	}
	e.op, e.fd, e.data = op, fd, data
	return e
}

// submit may collect something, so that what is known of connections holds no more.
func (u *uring) submit() unix.Errno {
	u.l.all = false
	u.l.sys.stats.Syscalls++
	return u.ring.submit()
}

func (u *uring) turn(wait int64) error {
	for _, ln := range u.asks {
		u.settle(ln)
	}
	u.asks = u.asks[:0]
	u.buffers.show()
	var errno unix.Errno
	if wait == 0 || !u.ring.idle() {
		errno = u.submit()
		for more := 0; more < maxMore && errno == 0 && u.ring.defers(); more++ {
			errno = u.submit()
		}
	}
	if wait != 0 && errno == 0 && u.ring.empty() {
		u.l.sys.stats.Syscalls++
		u.l.sys.stats.Waits++
		errno = u.ring.sleep(wait)
	}
	switch errno {
	case 0, unix.EINTR, unix.ETIME, unix.EAGAIN, unix.EBUSY:
	default:
		return fmt.Errorf("io_uring_enter: %w", errno)
	}
	u.l.refresh()
	u.l.all = (errno == 0 || errno == unix.ETIME) && u.ring.unsubmitted() == 0 && u.still()
	u.mark()
	u.l.keepPace()
	u.reap()
	return nil
}

// reap handles the completions that are there.
func (u *uring) reap() {
	for n := u.ring.ready(); n > 0; n-- {
		e := *u.ring.at(u.ring.head)
		u.ring.head++
		u.l.sys.stats.Events++
		u.completed(&e)
	}
	u.ring.free()
}

func (u *uring) completed(e *cqe) {
	slot := uint32(e.data) & (1<<slotBits - 1)
	switch t := token(uint32(e.data) >> slotBits); t {
	case tokenMail:
		if e.flags&cqeMore == 0 {
			u.watchMail()
		}
		u.l.mail.read()
	case tokenListen:
		if ln := u.l.listeners[slot]; u.l.options.Alone {
			u.accepted(ln, e)
		} else {
			u.knocked(ln, e)
		}
	case tokenReceive:
		u.received(u.l.conn(slot), e)
	case tokenSend:
		u.sent(u.l.conn(slot), e)
	case tokenPoll:
		u.polled(u.l.conn(slot))
	case tokenDial:
		u.dialed(u.l.conn(slot), e)
	}
}

// stop cancels everything, because the kernel would hold sockets until some time
// after the ring was closed, and closes what was accepted meanwhile.
func (u *uring) stop() {
	e := u.entry(opCancel, -1, tokenNone.of(0))
	e.opFlags = cancelAll | cancelAny
	u.submit()
	u.submit() // collects what was cancelled
	for ; u.l.options.Alone && !u.ring.empty(); u.ring.head++ {
		if e := u.ring.at(u.ring.head); token(uint32(e.data)>>slotBits) == tokenListen && e.res >= 0 {
			u.l.sys.close(e.res)
		}
	}
	u.ring.free()
}

func (u *uring) close() error {
	err := u.ring.close()
	u.buffers.close()
	for slot := range u.l.slots {
		if c := u.l.conn(slot); c.fd >= 0 {
			u.l.sys.close(c.fd)
		}
	}
	return err
}

// address returns the address of a byte that outlives the entry it is put in.
func address(b *byte) uint64 { return uint64(uintptr(unsafe.Pointer(b))) }
