package loop

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// buffers are where the kernel puts what it receives. It takes the next one for
// whichever socket has something, so that an idle connection has none. Where the
// kernel can, it fills a buffer piece by piece, in the order of the completions.
type buffers struct {
	mem   []byte
	ring  []byte
	slots []bufferSlot
	used  []int  // by buffer: bytes that completions have named
	tail  uint16 // of the ring, as far as it is filled
	shown uint16 // as far as the kernel knows
}

type bufferSlot struct {
	addr uint64
	len  uint32
	id   uint16
	_    uint16 // in the first slot: the ring's tail
}

type bufferReg struct {
	addr         uint64
	entries      uint32
	group, flags uint16
	_            [3]uint64
}

const piecemeal = 2 // IOU_PBUF_RING_INC, of Linux 6.12

// A buffer is large, so that a large answer comes in few pieces. All together must
// not run out in one iteration, for each connection that meets that must be armed
// again; so there are more if each is used but once, for however little.
const (
	bufferSize     = 256 << 10
	defaultBuffers = 2 << 20
	wholeFactor    = 4
)

// newBuffers registers buffers of about total bytes with r.
func newBuffers(r *ring, total int, whole bool) (*buffers, error) {
	if !whole {
		if b, err := registerBuffersOf(r, total, piecemeal); err == nil {
			return b, nil
		}
	}
	return registerBuffersOf(r, wholeFactor*total, 0)
}

func registerBuffersOf(r *ring, total int, flags uint16) (b *buffers, err error) {
	n := 4
	for n*2*bufferSize <= total && n < 1<<14 {
		n *= 2
	}
	b = &buffers{used: make([]int, n)}
	const prot, how = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	if b.mem, err = unix.Mmap(-1, 0, n*bufferSize, prot, how); err == nil {
		b.ring, err = unix.Mmap(-1, 0, n*int(unsafe.Sizeof(bufferSlot{})), prot, how)
	}
	if err != nil {
		b.close()
		return nil, fmt.Errorf("map provided buffers: %w", err)
	}
	b.slots = unsafe.Slice((*bufferSlot)(unsafe.Pointer(&b.ring[0])), n)
	reg := bufferReg{addr: uint64(uintptr(unsafe.Pointer(&b.ring[0]))), entries: uint32(n), flags: flags}
	if errno := r.register(registerBuffers, 1, unsafe.Pointer(&reg)); errno != 0 {
		b.close()
		return nil, fmt.Errorf("register provided buffers: %w", errno)
	}
	for i := range n {
		b.put(uint16(i))
	}
	b.show()
	return b, nil
}

func (b *buffers) put(id uint16) {
	s := &b.slots[int(b.tail)%len(b.slots)]
	s.addr = uint64(uintptr(unsafe.Pointer(&b.mem[int(id)*bufferSize])))
	s.len, s.id = bufferSize, id
	b.used[id] = 0
	b.tail++
}

// show lets the kernel have what was put. The tail has 16 bits, and the other 16
// of its word are the first slot's id, so that one atomic store can do it.
func (b *buffers) show() {
	if b.shown != b.tail {
		b.shown = b.tail
		word := [2]uint16{b.slots[0].id, b.tail}
		atomic.StoreUint32((*uint32)(unsafe.Pointer(&b.slots[0].id)), *(*uint32)(unsafe.Pointer(&word)))
	}
}

// place returns where in mem the bytes of a completion are. It must be asked of
// each once, in their order.
func (b *buffers) place(e *cqe) uint32 {
	id := e.flags >> 16
	at := int(id)*bufferSize + b.used[id]
	b.used[id] += int(max(e.res, 0))
	return uint32(at)
}

// give gives the buffer of a completion back, if the kernel is done with it.
func (b *buffers) give(e *cqe) {
	if e.flags&cqeBufferMore == 0 {
		b.put(uint16(e.flags >> 16))
	}
}

func (b *buffers) close() {
	for _, m := range [][]byte{b.mem, b.ring} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
}
