package loop

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ring is an io_uring: what the kernel reads in one ring of shared memory and
// what it answers in the other. The layouts are those of linux/io_uring.h.
type ring struct {
	fd     int
	shared []byte // both rings
	entry  []byte // the submission entries

	sqHead, sqTail, sqFlags *uint32
	sqes                    []sqe
	tail                    uint32 // of the submission ring, as far as entries are filled

	cqHead, cqTail *uint32
	cqes           []cqe
	head           uint32 // of the completion ring, as far as it was read

	arg  waitArg
	time unix.Timespec
}

type sqe struct {
	op, flags uint8
	ioprio    uint16
	fd        int32
	off, addr uint64
	len       uint32
	opFlags   uint32
	data      uint64
	group     uint16
	_         [22]byte
}

type cqe struct {
	data  uint64
	res   int32
	flags uint32
}

// Operations, and flags of entries and of completions.
const (
	opPollAdd     = 6
	opAccept      = 13
	opCancel      = 14
	opConnect     = 16
	opClose       = 19
	opSend        = 26
	opRecv        = 27
	sqeBuffers    = 1 << 5 // take a provided buffer
	sqeQuiet      = 1 << 6 // no completion unless it fails
	acceptMulti   = 1 << 0
	recvMulti     = 1 << 1
	pollMulti     = 1 << 0
	cancelAll     = 1 << 0
	cancelAny     = 1 << 2
	cqeBuffer     = 1 << 0 // the upper 16 bits name a buffer
	cqeMore       = 1 << 1 // more completions of the operation follow
	cqeBufferMore = 1 << 4 // more of the same buffer will be filled
)

const (
	setupCQSize   = 1 << 3
	setupAll      = 1 << 7 // go on when an entry is refused
	setupDisabled = 1 << 6 // the thread that enables it is the one that may submit
	setupTaskFlag = 1 << 9 // tell in sqFlags when there is something to collect
	setupSingle   = 1 << 12
	setupDefer    = 1 << 13 // complete within io_uring_enter only
	setupFlags    = setupCQSize | setupAll | setupDisabled | setupTaskFlag | setupSingle | setupDefer

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1
	featStable     = 1 << 2 // what an entry points to is copied on submission
	featExtArg     = 1 << 8
	featQuiet      = 1 << 11
	features       = featSingleMmap | featNoDrop | featStable | featExtArg | featQuiet

	sqTaskrun      = 1 << 2
	sqOverflow     = 1 << 1
	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	registerEnable  = 12
	registerBuffers = 22
	offSQEs         = 0x10000000
)

type sqOffsets struct {
	head, tail, mask, entries, flags, dropped, array, _ uint32
	_                                                   uint64
}

type cqOffsets struct {
	head, tail, mask, entries, overflow, cqes, flags, _ uint32
	_                                                   uint64
}

type ringParams struct {
	sqEntries, cqEntries, flags, cpu, idle, features, wq uint32
	_                                                    [3]uint32
	sq                                                   sqOffsets
	cq                                                   cqOffsets
}

// newRing makes a ring of entries, a power of two, and of four times as many
// completions. It must be enabled by the thread that is going to use it.
func newRing(entries uint32) (*ring, error) {
	p := ringParams{flags: setupFlags, cqEntries: 4 * entries}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	r := &ring{fd: int(fd)}
	if p.features&features != features {
		r.close()
		return nil, fmt.Errorf("io_uring_setup: features %#x where %#x are needed", p.features, features)
	}
	if err := r.mmap(&p); err != nil {
		r.close()
		return nil, fmt.Errorf("map io_uring: %w", err)
	}
	return r, nil
}

func (r *ring) mmap(p *ringParams) (err error) {
	size := max(p.sq.array+4*p.sqEntries, p.cq.cqes+uint32(unsafe.Sizeof(cqe{}))*p.cqEntries)
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	if r.shared, err = unix.Mmap(r.fd, 0, int(size), prot, flags); err != nil {
		return err
	}
	if r.entry, err = unix.Mmap(r.fd, offSQEs, int(unsafe.Sizeof(sqe{}))*int(p.sqEntries), prot, flags); err != nil {
		return err
	}
	word := func(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.shared[off])) }
	r.sqHead, r.sqTail, r.sqFlags = word(p.sq.head), word(p.sq.tail), word(p.sq.flags)
	r.cqHead, r.cqTail = word(p.cq.head), word(p.cq.tail)
	r.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&r.entry[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&r.shared[p.cq.cqes])), p.cqEntries)
	array := unsafe.Slice(word(p.sq.array), p.sqEntries)
	for i := range array {
		array[i] = uint32(i) // entry i of the ring is entry i, for ever
	}
	return nil
}

func (r *ring) register(op, n uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), op, uintptr(arg), n, 0, 0)
	return errno
}

// enable makes the caller's thread the one that submits.
func (r *ring) enable() error {
	if errno := r.register(registerEnable, 0, nil); errno != 0 {
		return fmt.Errorf("enable io_uring: %w", errno)
	}
	return nil
}

// next returns an empty entry, nil if the ring is full.
func (r *ring) next() *sqe {
	if r.unsubmitted() == uint32(len(r.sqes)) {
		return nil
	}
	e := &r.sqes[r.tail%uint32(len(r.sqes))]
	*e = sqe{}
	r.tail++
	return e
}

func (r *ring) unsubmitted() uint32 { return r.tail - atomic.LoadUint32(r.sqHead) }

// submit shows the kernel what was filled, collects what is complete, and does
// not sleep.
func (r *ring) submit() unix.Errno {
	n := r.unsubmitted()
	atomic.StoreUint32(r.sqTail, r.tail)
	_, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(n), 0, enterGetEvents, 0, 0)
	return errno
}

// waitArg is what io_uring_enter takes with enterExtArg. It and the time that it
// points to are the ring's, since an address hides what it points to from Go.
type waitArg struct {
	mask    uint64
	size, _ uint32
	time    uint64
}

// sleep waits for a completion for at most so many nanoseconds, for ever if negative.
func (r *ring) sleep(wait int64) unix.Errno {
	r.arg.time = 0
	if wait >= 0 {
		r.time = unix.NsecToTimespec(wait)
		r.arg.time = uint64(uintptr(unsafe.Pointer(&r.time)))
	}
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), 0, 1, enterGetEvents|enterExtArg,
		uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg))
	return errno
}

// idle reports whether there is nothing to submit, to collect or to read.
func (r *ring) idle() bool {
	return r.unsubmitted() == 0 && r.empty() && !r.more()
}

// defers reports whether the kernel has put something aside that the next call completes.
func (r *ring) defers() bool { return atomic.LoadUint32(r.sqFlags)&sqTaskrun != 0 }

// more reports whether there is something to collect.
func (r *ring) more() bool { return atomic.LoadUint32(r.sqFlags)&(sqTaskrun|sqOverflow) != 0 }

func (r *ring) empty() bool { return r.head == atomic.LoadUint32(r.cqTail) }

// ready returns how many completions are there.
func (r *ring) ready() uint32 { return atomic.LoadUint32(r.cqTail) - r.head }

// at returns the completion i.
func (r *ring) at(i uint32) *cqe { return &r.cqes[i%uint32(len(r.cqes))] }

// free lets the kernel have what was read.
func (r *ring) free() { atomic.StoreUint32(r.cqHead, r.head) }

func (r *ring) close() error {
	for _, m := range [][]byte{r.shared, r.entry} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	return unix.Close(r.fd)
}
