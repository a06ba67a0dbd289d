package loop

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"lbctl/internal/rawsock"
)

// setAddr puts an address into s.addr as the kernel wants it, and returns its
// family.
func (s *sys) setAddr(a netip.AddrPort) int {
	clear(s.addr[:])
	binary.BigEndian.PutUint16(s.addr[2:], a.Port())
	ip := a.Addr().Unmap()
	if ip.Is4() {
		binary.NativeEndian.PutUint16(s.addr[:], unix.AF_INET)
		b := ip.As4()
		copy(s.addr[4:], b[:])
		s.size = unix.SizeofSockaddrInet4
		return unix.AF_INET
	}
	binary.NativeEndian.PutUint16(s.addr[:], unix.AF_INET6)
	b := ip.As16()
	copy(s.addr[8:], b[:])
	binary.NativeEndian.PutUint32(s.addr[24:], scope(ip.Zone()))
	s.size = unix.SizeofSockaddrInet6
	return unix.AF_INET6
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

// getAddr reads s.addr.
func (s *sys) getAddr() netip.AddrPort {
	return rawsock.Address((*[unix.SizeofSockaddrInet6]byte)(s.addr[:]))
}
