package rawsock

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Accept takes a connection that waits at a listening socket, which must not block. how
// are SOCK_NONBLOCK and SOCK_CLOEXEC. unix.Accept4 would allocate two addresses.
func Accept(listener, how int) (fd int, peer netip.AddrPort, errno unix.Errno) {
	var a [unix.SizeofSockaddrInet6]byte
	size := uint32(len(a))
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)), uintptr(how), 0, 0)
	if errno != 0 {
		return -1, peer, errno
	}
	return int(n), Address(&a), 0
}

// Address reads an address as the kernel writes it, none of another family. A zone is left
// out, because it would be a string; IPv4 is IPv4 also when it came to an IPv6 socket.
func Address(a *[unix.SizeofSockaddrInet6]byte) netip.AddrPort {
	port := binary.BigEndian.Uint16(a[2:])
	switch binary.NativeEndian.Uint16(a[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(a[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}
