package takeover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Announce tells the neighbours on each link that the addresses are this host's
// now: by a gratuitous ARP request (RFC 5227, section 3) or an unsolicited
// neighbour advertisement (RFC 4861, section 7.2.6). Neighbours mend what they
// know and learn nothing new. Datagrams may be lost: announce more than once.
func (h *Host) Announce(addrs []Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	return h.ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open socket to announce addresses: %w", err)
		}
		defer unix.Close(fd)
		var errs []error
		for _, a := range addrs {
			if err := h.announce(fd, a); err != nil {
				errs = append(errs, fmt.Errorf("announce %s: %w", a, err))
			}
		}
		return errors.Join(errs...)
	})
}

func (h *Host) announce(fd int, a Addr) error {
	link, err := h.nl.LinkByName(a.Link)
	if err != nil {
		return err
	}
	mac := link.Attrs().HardwareAddr
	if len(mac) != 6 {
		return errors.New("the link has no Ethernet address")
	}
	frame := gratuitousARP(mac, a.Addr)
	if a.Addr.Is6() {
		frame = unsolicitedNA(mac, a.Addr)
	}
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link.Attrs().Index})
}

func ethernet(to, from net.HardwareAddr, kind uint16) []byte {
	return binary.BigEndian.AppendUint16(append(append([]byte{}, to...), from...), kind)
}

func gratuitousARP(mac net.HardwareAddr, addr netip.Addr) []byte {
	frame := ethernet(net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac, unix.ETH_P_ARP)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, a request
	frame = append(append(frame, mac...), addr.AsSlice()...)
	return append(append(frame, make([]byte, 6)...), addr.AsSlice()...)
}

func unsolicitedNA(mac net.HardwareAddr, addr netip.Addr) []byte {
	all := netip.MustParseAddr("ff02::1")
	icmp := []byte{136, 0, 0, 0, 0x20, 0, 0, 0} // override what is known, RFC 4861, section 4.4
	icmp = append(append(icmp, addr.AsSlice()...), 2, 1)
	icmp = append(icmp, mac...)
	binary.BigEndian.PutUint16(icmp[2:], checksum(addr, all, unix.IPPROTO_ICMPV6, icmp))

	frame := ethernet(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, mac, unix.ETH_P_IPV6)
	frame = append(frame, 0x60, 0, 0, 0, 0, byte(len(icmp)), unix.IPPROTO_ICMPV6, 255)
	frame = append(append(frame, addr.AsSlice()...), all.AsSlice()...)
	return append(frame, icmp...)
}

// checksum is that of a protocol over IP with its pseudo header (RFC 8200,
// section 8.1). IPv4's pseudo header adds up to the same.
func checksum(from, to netip.Addr, protocol byte, payload []byte) uint16 {
	sum := uint32(protocol) + uint32(len(payload))
	for _, b := range [][]byte{from.AsSlice(), to.AsSlice(), payload} {
		for i, v := range b {
			sum += uint32(v) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
