package rawsock

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAnAddressIsReadBackAsItWasWritten(t *testing.T) {
	for text, want := range map[string]struct{ family, size int }{
		"192.0.2.1:80":          {unix.AF_INET, unix.SizeofSockaddrInet4},
		"[::ffff:192.0.2.1]:80": {unix.AF_INET, unix.SizeofSockaddrInet4},
		"[2001:db8::1]:65535":   {unix.AF_INET6, unix.SizeofSockaddrInet6},
	} {
		addr, written := netip.MustParseAddrPort(text), [unix.SizeofSockaddrInet6]byte(bytes.Repeat([]byte{0xff}, unix.SizeofSockaddrInet6))
		family, size := PutAddress(&written, addr)
		if family != want.family || int(size) != want.size || Address(&written) != netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()) {
			t.Errorf("%s: family %d, size %d, and %s is read back", text, family, size, Address(&written))
		}
		if flow := binary.NativeEndian.Uint32(written[4:]); family == unix.AF_INET6 && flow != 0 {
			t.Errorf("%s: it has a flow label, %d", text, flow)
		}
	}
}

func TestAZoneIsTheInterfacesNumber(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skipf("this machine has no lo: %v", err)
	}
	for zone, want := range map[string]uint32{"": 0, "7": 7, "lo": uint32(lo.Index), "nowhere": 0} {
		ip := netip.MustParseAddr("fe80::1").WithZone(zone)
		a := [unix.SizeofSockaddrInet6]byte{}
		PutAddress(&a, netip.AddrPortFrom(ip, 80))
		if got := binary.NativeEndian.Uint32(a[24:]); got != want {
			t.Errorf("zone %q is %d, want %d", zone, got, want)
		}
	}
}

func TestConnectBeginsAConnection(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var to [unix.SizeofSockaddrInet6]byte
	family, size := PutAddress(&to, netip.MustParseAddrPort(ln.Addr().String()))
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if errno := Connect(fd, &to, size); errno != 0 && errno != unix.EINPROGRESS {
		t.Fatal(errno)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
