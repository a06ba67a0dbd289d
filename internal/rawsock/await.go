package rawsock

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Await is Receive that sleeps until something comes, on a socket that Blocks. It tells
// the scheduler. EAGAIN means that the socket's patience has passed, EINTR that a signal
// was quicker.
func Await(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return count(n, errno)
}

// SetPatience bounds how long Await sleeps. The kernel rounds it to its ticks: it may be
// short of d by one (socket(7), SO_RCVTIMEO).
func SetPatience(fd int, d time.Duration) unix.Errno {
	tv := unix.NsecToTimeval(int64(d))
	_, _, errno := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_RCVTIMEO, uintptr(unsafe.Pointer(&tv)), unsafe.Sizeof(tv), 0)
	return errno
}

// Block says whether calls that are not told otherwise sleep. splice(2) cannot be told:
// it looks at this alone.
func Block(fd int, on bool) unix.Errno {
	var flags uintptr // a socket has no others
	if !on {
		flags = unix.O_NONBLOCK
	}
	_, _, errno := syscall.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, flags)
	return errno
}
