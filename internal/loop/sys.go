package loop

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/internal/rawsock"
)

// sys makes a loop's system calls and counts them. None of them sleeps, so they
// do without telling the scheduler, which saves some 50 ns each. A call that may
// sleep must tell it: it would hold up the collector.
type sys struct {
	stats  Stats
	vector rawsock.Vector
	addr   [unix.SizeofSockaddrAny]byte
	size   uint32
}

func (s *sys) raw(trap, a, b, c, d, e, f uintptr) (int, unix.Errno) {
	s.stats.Syscalls++
	n, _, errno := unix.RawSyscall6(trap, a, b, c, d, e, f)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func (s *sys) read(fd int32, b []byte) (int, unix.Errno) {
	s.stats.Syscalls++
	n, errno := rawsock.Receive(int(fd), b)
	s.stats.Read += uint64(n)
	return n, errno
}

func (s *sys) peek(fd int32) unix.Errno {
	s.stats.Syscalls++
	return rawsock.Peek(int(fd))
}

func (s *sys) send(fd int32, b []byte) (int, unix.Errno) {
	s.stats.Syscalls++
	n, errno := rawsock.Send(int(fd), b, 0)
	s.stats.Written += uint64(n)
	return n, errno
}

// sendv offers s.vector, with flags besides those that any write has.
func (s *sys) sendv(fd int32, how int) (int, unix.Errno) {
	s.stats.Syscalls++
	n, errno := s.vector.Send(int(fd), how)
	s.stats.Written += uint64(n)
	return n, errno
}

func (s *sys) accept(fd int32) (int32, netip.AddrPort, unix.Errno) {
	s.stats.Syscalls++
	n, peer, errno := rawsock.Accept(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return int32(n), peer, errno
}

// connect goes to the address in s.addr.
func (s *sys) connect(fd int32) unix.Errno {
	s.stats.Syscalls++
	return rawsock.Connect(int(fd), s.inet(), s.size)
}

// peer leaves the peer's address in s.addr.
func (s *sys) peer(fd int32) unix.Errno {
	s.size = uint32(len(s.addr))
	s.stats.Syscalls++
	_, _, errno := unix.RawSyscall(unix.SYS_GETPEERNAME, uintptr(fd), uintptr(unsafe.Pointer(&s.addr)), uintptr(unsafe.Pointer(&s.size)))
	return errno
}

// fault returns and clears the error that waits at a socket.
func (s *sys) fault(fd int32) unix.Errno {
	var value, size uint32 = 0, 4
	s.stats.Syscalls++
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return unix.Errno(value)
}

func (s *sys) socket(family int) (int32, unix.Errno) {
	fd, errno := s.raw(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP, 0, 0, 0)
	return int32(fd), errno
}

func (s *sys) noDelay(fd int32) {
	one := uint32(1)
	s.stats.Syscalls++
	_, _, _ = unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, uintptr(unsafe.Pointer(&one)), 4, 0)
}

// linger makes close send a RST.
func (s *sys) linger(fd int32) {
	v := unix.Linger{Onoff: 1}
	s.stats.Syscalls++
	_, _, _ = unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0)
}

func (s *sys) shutdown(fd int32) {
	_, _ = s.raw(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0, 0, 0, 0)
}

func (s *sys) close(fd int32) { _, _ = s.raw(unix.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0) }
