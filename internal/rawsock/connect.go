package rawsock

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PutAddress writes an address as the kernel reads it, and returns its family and its
// size. IPv4 is IPv4 also within IPv6. A zone, as link-local addresses have, is the name of
// an interface or its number.
func PutAddress(a *[unix.SizeofSockaddrInet6]byte, addr netip.AddrPort) (family int, size uint32) {
	clear(a[:])
	binary.BigEndian.PutUint16(a[2:], addr.Port())
	ip := addr.Addr().Unmap()
	if ip.Is4() {
		binary.NativeEndian.PutUint16(a[:], unix.AF_INET)
		b := ip.As4()
		copy(a[4:], b[:])
		return unix.AF_INET, unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(a[:], unix.AF_INET6)
	b := ip.As16()
	copy(a[8:], b[:])
	binary.NativeEndian.PutUint32(a[24:], scope(ip.Zone()))
	return unix.AF_INET6, unix.SizeofSockaddrInet6
}

// scope returns a zone's number. An unknown one is 0, which the kernel refuses
// for an address that needs it.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}

// Connect begins a connection of a socket in non-blocking mode to what PutAddress has
// written. EINPROGRESS is no failure.
func Connect(fd int, to *[unix.SizeofSockaddrInet6]byte, size uint32) unix.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(to)), uintptr(size))
	return errno
}
