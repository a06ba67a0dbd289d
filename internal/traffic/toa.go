package traffic

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A balancer that replaces the client's address may tell it in a TCP option of the SYN (TOA):
// kind 254, length, port and address. The kernel keeps SYNs for who asks on the listener
// (TCP_SAVE_SYN), so no kernel module is needed to read it.
const kindTOA = 254

// told returns the client that the connection's SYN told of, asked for when it is first wanted.
func (c *conn) told() netip.AddrPort {
	if !c.asked {
		c.asked, c.client = true, clientIn(savedSYN(c.tcp.FD()))
	}
	return c.client
}

// savedSYN returns the IP and TCP headers of the SYN that a connection began with, once:
// the kernel forgets them then.
func savedSYN(fd int) []byte {
	var syn [60 + 60]byte // as long as the headers may be
	size := uint32(len(syn))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_SAVED_SYN,
		uintptr(unsafe.Pointer(&syn)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return nil
	}
	return syn[:min(int(size), len(syn))]
}

// clientIn finds the client that a SYN's headers tell of.
func clientIn(syn []byte) (client netip.AddrPort) {
	options := optionsIn(syn)
	for len(options) > 0 && options[0] != 0 {
		if options[0] == 1 {
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return client
		}
		value := options[2:options[1]]
		if options[0] == kindTOA && (len(value) == 6 || len(value) == 18) {
			addr, _ := netip.AddrFromSlice(value[2:])
			return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(value))
		}
		options = options[options[1]:]
	}
	return client
}

// optionsIn returns the TCP options behind an IP header.
func optionsIn(syn []byte) []byte {
	const tcpHeader = 20
	ip := 40
	if len(syn) > 0 && syn[0]>>4 == 4 {
		ip = int(syn[0]&15) * 4
	}
	if len(syn) < ip+tcpHeader {
		return nil
	}
	end := ip + int(syn[ip+12]>>4)*4
	if end < ip+tcpHeader || end > len(syn) {
		return nil
	}
	return syn[ip+tcpHeader : end]
}
