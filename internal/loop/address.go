package loop

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"lbctl/internal/rawsock"
)

// setAddr puts an address into s.addr as the kernel wants it, and returns its
// family.
func (s *sys) setAddr(a netip.AddrPort) (family int) {
	family, s.size = rawsock.PutAddress(s.inet(), a)
	return family
}

// getAddr reads s.addr.
func (s *sys) getAddr() netip.AddrPort { return rawsock.Address(s.inet()) }

// inet is as much of s.addr as an internet address takes.
func (s *sys) inet() *[unix.SizeofSockaddrInet6]byte {
	return (*[unix.SizeofSockaddrInet6]byte)(s.addr[:])
}
