// Package splice moves bytes from one socket to another without copying them, as
// splice(2) does by way of a pipe.
package splice

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Head is how much is read of what may be spliced, for that begins with a head.
	// With 64 KiB it leaves no more than the 16 pages that one sendmsg takes of a
	// pipe (splice_to_socket in fs/splice.c); 17 cost twice as much.
	Head = 8 << 10
	// Least is from how many bytes on splicing is cheaper than copying.
	Least = 16 << 10

	size = 256 << 10
)

// Pipe is one thread's. It must be empty again when its user has done with what
// it took In. The zero value is one that is not open yet.
type Pipe struct {
	r, w int
	size int
	off  bool // it cannot be had, or the kernel splices no sockets
}

// Open makes the pipe, if there is none, and reports whether it can be used.
func (p *Pipe) Open() bool {
	if p.size > 0 || p.off {
		return !p.off
	}
	p.off = true
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		return false
	}
	p.r, p.w = fds[0], fds[1]
	n, err := unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, size)
	if err != nil { // who has many pipes may have small ones only
		n, err = unix.FcntlInt(uintptr(p.w), unix.F_GETPIPE_SZ, 0)
	}
	p.size, p.off = n, false
	if err != nil || n < 2*Least {
		p.Close()
	}
	return !p.off
}

// In takes at most n bytes of what a socket has received. The pipe must be empty.
func (p *Pipe) In(fd int, n uint64) (int, unix.Errno) {
	got, errno := move(fd, p.w, int(min(n, uint64(p.size))))
	if errno == unix.EINVAL || errno == unix.ENOSYS || errno == unix.EPERM {
		p.Close()
	}
	return got, errno
}

// Out gives at most n bytes to a socket.
func (p *Pipe) Out(fd, n int) (int, unix.Errno) { return move(p.r, fd, n) }

// Read takes bytes back that no socket has room for.
func (p *Pipe) Read(b []byte) int {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(p.r), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0
	}
	return int(n)
}

// Close closes the pipe for good.
func (p *Pipe) Close() {
	if p.size > 0 {
		_ = unix.Close(p.r)
		_ = unix.Close(p.w)
	}
	p.size, p.off = 0, true
}

func move(from, to, n int) (int, unix.Errno) {
	const how = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK
	for {
		got, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), how)
		switch errno {
		case 0:
			return int(got), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
