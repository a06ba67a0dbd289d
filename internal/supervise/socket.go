package supervise

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	backlog = 4096 // the kernel takes net.core.somaxconn if that is less
)

var errZone = errors.New("an address with a zone cannot be listened at")

// option is a socket option. Accepted connections inherit those of their
// listener, which saves a system call each. TCP's own keep-alive is not among
// them: it would set a timer for each connection, and who serves has timeouts.
type option struct{ level, name, value int }

var options = []option{
	{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
}

// listen opens a socket by plain system calls: package net would make it an
// MPTCP one, which sockmap and sk_lookup refuse. It is
// non-blocking for whoever holds it, because of several processes that wait for
// one connection all but one find none.
func listen(addr netip.AddrPort) (*os.File, error) {
	family, sa, err := sockaddr(addr)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", addr, err)
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", addr, err)
	}
	own := options
	if family == unix.AF_INET6 {
		own = append(slices.Clone(own), option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1})
	}
	for _, o := range own {
		if err == nil {
			err = unix.SetsockoptInt(fd, o.level, o.name, o.value)
		}
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen at %s: %w", addr, err)
	}
	return unpolled(fd, addr.String())
}

func sockaddr(addr netip.AddrPort) (int, unix.Sockaddr, error) {
	ip := addr.Addr()
	switch {
	case ip.Zone() != "":
		return 0, nil, errZone
	case ip.Is4():
		return unix.AF_INET, &unix.SockaddrInet4{Addr: ip.As4(), Port: int(addr.Port())}, nil
	default:
		return unix.AF_INET6, &unix.SockaddrInet6{Addr: ip.As16(), Port: int(addr.Port())}, nil
	}
}

// listensAt returns the address of a listening TCP socket.
func listensAt(fd int) (netip.AddrPort, error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || protocol != unix.IPPROTO_TCP || listens == 0 {
		return netip.AddrPort{}, errors.New("it is no listening TCP socket")
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, fmt.Errorf("it has a %T", sa)
}
