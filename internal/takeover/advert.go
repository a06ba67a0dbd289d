package takeover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/netns"
)

// What adverts say and where they go (RFC 9568, VRRP version 3). Two balancers
// need no election, so the priority is the default for who owns no address.
const (
	protocolVRRP = 112
	router       = 51 // the virtual router's number, keepalived's usual one
	priority     = 100
	advertTTL    = 255 // one that has passed a router is a stranger's
	maxListed    = 20  // addresses in an advert
)

var advertGroup = netip.MustParseAddr("224.0.0.18")

// DownAfter is how long the active balancer may be silent until its standby takes
// over: three adverts and a skew (RFC 9568, section 6.1, Active_Down_Interval).
func DownAfter(interval time.Duration) time.Duration {
	return 3*interval + interval*(256-priority)/256
}

// advert is the payload of an advert of the IPv4 addresses among these. The
// interval is told in hundredths of a second, in twelve bits: at most 40.95 s.
func advert(from netip.Addr, interval time.Duration, addrs []Addr) []byte {
	b := []byte{3<<4 | 1, router, priority, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(interval/(10*time.Millisecond)))
	b = append(b, 0, 0)
	for _, a := range addrs {
		if a.Addr.Is4() && b[3] < maxListed {
			b = append(b, a.Addr.AsSlice()...)
			b[3]++
		}
	}
	binary.BigEndian.PutUint16(b[6:], checksum(from, advertGroup, protocolVRRP, b))
	return b
}

// parseAdvert returns who sent an IPv4 packet, if it is an advert of our router.
func parseAdvert(packet []byte) (from netip.Addr, err error) {
	if len(packet) < 20 || packet[0]>>4 != 4 || packet[9] != protocolVRRP {
		return from, errors.New("no VRRP over IPv4")
	}
	header := int(packet[0]&15) * 4
	total := int(binary.BigEndian.Uint16(packet[2:]))
	if header < 20 || total < header+8 || total > len(packet) {
		return from, fmt.Errorf("%d bytes of %d behind a header of %d", len(packet), total, header)
	}
	from = netip.AddrFrom4([4]byte(packet[12:16]))
	to := netip.AddrFrom4([4]byte(packet[16:20]))
	b := packet[header:total]
	switch {
	case packet[8] != advertTTL:
		return from, fmt.Errorf("time to live %d", packet[8])
	case b[0] != 3<<4|1 || b[1] != router:
		return from, fmt.Errorf("version and type %#x of router %d", b[0], b[1])
	case len(b) != 8+4*int(b[3]):
		return from, fmt.Errorf("%d bytes for %d addresses", len(b), b[3])
	case checksum(from, to, protocolVRRP, b) != 0:
		return from, errors.New("bad checksum")
	}
	return from, nil
}

// Voice sends and hears adverts on one link of a host.
type Voice struct {
	fd   int
	addr netip.Addr
}

// Speak opens a Voice on the link that has the address.
func Speak(ns *netns.Handle, addr netip.Addr) (*Voice, error) {
	v := &Voice{fd: -1, addr: addr}
	err := ns.Do(func() (err error) {
		v.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocolVRRP)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open socket for adverts: %w", err)
	}
	local := addr.As4()
	patience := unix.NsecToTimeval(int64(100 * time.Millisecond))
	err = errors.Join(
		unix.SetsockoptIPMreq(v.fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreq{Multiaddr: advertGroup.As4(), Interface: local}),
		unix.SetsockoptInet4Addr(v.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, local),
		unix.SetsockoptInt(v.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, advertTTL),
		unix.SetsockoptInt(v.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0),
		unix.SetsockoptTimeval(v.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience),
		unix.Bind(v.fd, &unix.SockaddrInet4{}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up socket for adverts at %s: %w", addr, err), v.Close())
	}
	return v, nil
}

// Close ends the Voice; nobody may be in its methods.
func (v *Voice) Close() error { return unix.Close(v.fd) }

// Advertise says once that this host is active and has these addresses.
func (v *Voice) Advertise(interval time.Duration, addrs []Addr) error {
	return unix.Sendto(v.fd, advert(v.addr, interval, addrs), 0, &unix.SockaddrInet4{Addr: advertGroup.As4()})
}

// Hear returns who sent the next advert, or no address if there was none for a
// tenth of a second. What is none of our adverts is ignored.
func (v *Voice) Hear() (netip.Addr, error) {
	var packet [2048]byte
	n, _, err := unix.Recvfrom(v.fd, packet[:], 0)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
		return netip.Addr{}, nil
	case err != nil:
		return netip.Addr{}, fmt.Errorf("hear adverts: %w", err)
	}
	from, err := parseAdvert(packet[:n])
	if err != nil {
		return netip.Addr{}, nil
	}
	return from, nil
}
