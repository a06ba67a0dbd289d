package l7

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAThreadDialsAnAddressWithAZone(t *testing.T) {
	fd, err := dial(netip.MustParseAddrPort("[fe80::1%lo]:80"))
	if err == unix.EAFNOSUPPORT {
		t.Skip("this machine lacks IPv6")
	}
	unix.Close(fd)
	if err == unix.EINVAL { // what connect(2) says of a link-local address without a zone
		t.Error("the zone is left out")
	}
}

func TestAThreadDialsIPv4WithinIPv6AsIPv4(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	fd, err := dial(withIP(listenerAddr(ln), "::ffff:127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || family != unix.AF_INET {
		t.Errorf("the socket's family is %d, %v", family, err)
	}
}
