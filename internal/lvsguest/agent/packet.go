package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// sendPacket puts packets into tun0, or where there is a peer0 (see plane.sh)
// into that: "[-n COUNT] [-same] [-size BYTES] FLAGS
// PROTO SRC DST". FLAGS is a run of TCP's letters (S A F R), or "-" for UDP.
// With COUNT each packet has the next source port, or -same the same one.
func sendPacket(args []string) error {
	flags := flag.NewFlagSet("packet", flag.ContinueOnError)
	count := flags.Int("n", 1, "how many")
	same := flags.Bool("same", false, "all from one port")
	size := flags.Int("size", 0, "bytes of payload")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 4 {
		return fmt.Errorf("packet: want FLAGS PROTO SRC DST, got %q", flags.Args())
	}
	src, err := netip.ParseAddrPort(flags.Arg(2))
	if err != nil {
		return err
	}
	dst, err := netip.ParseAddrPort(flags.Arg(3))
	if err != nil {
		return err
	}
	wire, header, err := openWire(dst.Addr().Is6())
	if err != nil {
		return err
	}
	defer unix.Close(wire)
	for i := range *count {
		from := src
		if !*same {
			from = netip.AddrPortFrom(src.Addr(), src.Port()+uint16(i))
		}
		if _, err := unix.Write(wire, append(header, packet(flags.Arg(0), flags.Arg(1), from, dst, *size)...)); err != nil {
			return fmt.Errorf("write packet: %w", err)
		}
	}
	return nil
}

// openWire opens what packets come in by, and returns what goes before each.
func openWire(six bool) (fd int, header []byte, err error) {
	peer, err := net.InterfaceByName("peer0")
	if err != nil {
		fd, err = openTun("tun0")
		return fd, nil, err
	}
	near, err := net.InterfaceByName("eth0")
	if err != nil {
		return 0, nil, err
	}
	kind := uint16(unix.ETH_P_IP)
	if six {
		kind = unix.ETH_P_IPV6
	}
	header = binary.BigEndian.AppendUint16(slices.Concat(near.HardwareAddr, peer.HardwareAddr), kind)
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: peer.Index, Protocol: 0})
	}
	if err != nil {
		return 0, nil, fmt.Errorf("open packet socket: %w", err)
	}
	return fd, slices.Clip(header), nil
}

// openTun attaches to a tun device. What is written to it is received by the
// kernel before write returns.
func openTun(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return 0, fmt.Errorf("attach %s: %w", name, err)
	}
	return fd, nil
}

// packet returns an IP packet with a TCP segment of these flags, or a UDP
// datagram, and size bytes of payload (even).
func packet(flags, proto string, src, dst netip.AddrPort, size int) []byte {
	var l4 []byte
	number := byte(unix.IPPROTO_TCP)
	if proto == "udp" {
		number = unix.IPPROTO_UDP
		l4 = make([]byte, 8+size)
		binary.BigEndian.PutUint16(l4[4:], uint16(8+size))
	} else {
		l4 = make([]byte, 20+size)
		l4[12] = 5 << 4
		for i, letter := range "FSRPA" {
			if strings.ContainsRune(flags, letter) {
				l4[13] |= 1 << i
			}
		}
		binary.BigEndian.PutUint16(l4[14:], 65535)
	}
	binary.BigEndian.PutUint16(l4, src.Port())
	binary.BigEndian.PutUint16(l4[2:], dst.Port())
	ip := header(number, len(l4), src.Addr(), dst.Addr())
	sum := add(0, src.Addr().AsSlice())
	sum = add(sum, dst.Addr().AsSlice())
	sum += uint32(number) + uint32(len(l4))
	check := 16
	if proto == "udp" {
		check = 6
	}
	binary.BigEndian.PutUint16(l4[check:], fold(add(sum, l4)))
	return append(ip, l4...)
}

func header(proto byte, length int, src, dst netip.Addr) []byte {
	if src.Is6() {
		ip := make([]byte, 40)
		ip[0] = 6 << 4
		binary.BigEndian.PutUint16(ip[4:], uint16(length))
		ip[6], ip[7] = proto, 64
		copy(ip[8:], src.AsSlice())
		copy(ip[24:], dst.AsSlice())
		return ip
	}
	ip := make([]byte, 20)
	ip[0], ip[8], ip[9] = 4<<4|5, 64, proto
	binary.BigEndian.PutUint16(ip[2:], uint16(20+length))
	copy(ip[12:], src.AsSlice())
	copy(ip[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(ip[10:], fold(add(0, ip)))
	return ip
}

// add sums 16-bit words; the length must be even.
func add(sum uint32, data []byte) uint32 {
	for ; len(data) > 1; data = data[2:] {
		sum += uint32(binary.BigEndian.Uint16(data))
	}
	return sum
}

// fold returns the Internet checksum (RFC 1071) of a sum.
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
