// Package rawsock makes the calls of sockets that do not sleep, without telling Go's
// scheduler, which saves some 50 ns each. A call that may sleep must tell it: it would
// hold up the collector. Await is one. syscall's raw calls save 7 ns more than unix's, which
// go to them by way of assembly.
package rawsock

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Receive is by recvfrom(2), which does not go through what read(2) does for files.
// 0 bytes without an error are the end. b must not be empty.
func Receive(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	return count(n, errno)
}

// Send sends as much of b as there is room for, with flags besides those that any call has.
// b must not be empty.
func Send(fd int, b []byte, how int) (int, unix.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		uintptr(unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|how), 0, 0)
	return count(n, errno)
}

// Peek returns EAGAIN if nothing waits to be read, also no end. unix.Recvfrom would
// allocate an address.
func Peek(fd int) unix.Errno {
	var b byte
	_, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno
}

// Vector is what one sendmsg offers the kernel. The pointers in it are seen by the
// collector. The zero value is empty.
type Vector struct {
	iov   [64]unix.Iovec
	msg   unix.Msghdr
	n     int
	joint [small]byte
	Bytes int // that are offered
}

// small is up to how many bytes pieces are copied together: that costs some 30 ns, sendmsg
// 200 more than sendto.
const small = 2 << 10

// Reset empties v.
func (v *Vector) Reset() { v.n, v.Bytes = 0, 0 }

// Add takes a piece, and reports whether there was room for it. An empty one needs none.
func (v *Vector) Add(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	if v.n == len(v.iov) {
		return false
	}
	v.iov[v.n].Base = &b[0]
	v.iov[v.n].SetLen(len(b))
	v.n++
	v.Bytes += len(b)
	return true
}

// Send offers v, which must not be empty, with flags besides those that any call has.
func (v *Vector) Send(fd, how int) (int, unix.Errno) {
	if v.Bytes <= small {
		b := v.joint[:0]
		for _, piece := range v.iov[:v.n] {
			b = append(b, unsafe.Slice(piece.Base, piece.Len)...)
		}
		clear(v.iov[:v.n])
		return Send(fd, b, how)
	}
	v.msg.Iov = &v.iov[0]
	v.msg.SetIovlen(v.n)
	n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&v.msg)), uintptr(unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|how))
	clear(v.iov[:v.n]) // what was sent may be garbage now
	return count(n, errno)
}

func count(n uintptr, errno unix.Errno) (int, unix.Errno) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
