package l7

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Calls that do not sleep, made without telling Go's scheduler. A call that may sleep
// must tell it: it would hold up the collector.

func receive(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	return count(n, errno)
}

func send(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return count(n, errno)
}

// sendPieces sends as many of the first pieces as iov has room for, with flags besides
// those that any call has.
func (t *thread) sendPieces(fd int, pieces [][]byte, how int) (int, unix.Errno) {
	used := 0
	for _, p := range pieces[:min(len(pieces), len(t.iov))] {
		if len(p) > 0 {
			t.iov[used].Base = &p[0]
			t.iov[used].SetLen(len(p))
			used++
		}
	}
	if used == 0 {
		return 0, 0
	}
	t.message.Iov = &t.iov[0]
	t.message.SetIovlen(used)
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&t.message)), uintptr(unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|how))
	clear(t.iov[:used]) // what was sent may be garbage now
	return count(n, errno)
}

// silent reports whether nothing waits to be read, also no end.
func silent(fd int) bool {
	var b [1]byte
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno == unix.EAGAIN
}

func count(n uintptr, errno unix.Errno) (int, unix.Errno) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
