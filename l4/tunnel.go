package l4

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"lbctl/internal/lb"
)

// What is put around a packet, in bytes.
const (
	header4   = 20
	header6   = 40
	headerUDP = 8
)

const (
	maxPacket = 65535 // a packet's length is told in 16 bits
	minMTU6   = 1280  // which no IPv6 sender goes below (RFC 8200, section 5)
)

// DefaultGUEPort is the port that IANA has for GUE.
const DefaultGUEPort = 6080

// guePort is that of a service's tunnels, 0 for IPIP.
func guePort(e lb.Encapsulation) uint16 {
	if e.Kind != lb.GUE {
		return 0
	}
	if e.Port == 0 {
		return DefaultGUEPort
	}
	return e.Port
}

func validateTunnel(v lb.Service) error {
	t := v.L4.Tunnel
	switch {
	case t == lb.Encapsulation{}:
		return nil
	case v.Forward != lb.Tunnel:
		return fmt.Errorf("tunnel: is for forward tun, not for %s", v.Forward)
	case t.Kind != "" && t.Kind != lb.IPIP && t.Kind != lb.GUE:
		return fmt.Errorf("tunnel %q: want ipip or gue", t.Kind)
	case t.Port != 0 && t.Kind != lb.GUE:
		return fmt.Errorf("tunnel port %d: only gue has ports", t.Port)
	}
	return nil
}

// shape is what of a backend says how its packets are wrapped.
func (w *wanted) shape(b lb.Backend) xdpBackend {
	return xdpBackend{Forward: w.forward, Addr: toAddress(b.Addr.Addr()), Gue: toPort(guePort(w.L4.Tunnel))}
}

// wrap says with what the backend's packets are wrapped, if they are, how long they
// may be, and what the balancer is to the backend. IPIP has no ports for flows to differ by, so its source varies.
func (p *Plane) wrap(b *xdpBackend, w *wanted, h hop) {
	b.Source, b.Vary, b.Gue = xdpAddress{}, 0, toPort(guePort(w.L4.Tunnel))
	if h.source.IsValid() {
		b.Source = toAddress(h.source)
	}
	b.Mtu = toMTU(h.mtu, *b)
	p.localize(b, w, h.source)
	if b.Forward != xdpForwardTUNNEL || b.Gue != 0 {
		return
	}
	for _, prefix := range p.options.TunnelSources {
		if prefix.Addr().Is4() == fromAddress(b.Addr).Is4() {
			b.Source, b.Vary = toAddress(prefix.Masked().Addr()), varied(prefix)
		}
	}
}

// varied are the bits that a prefix leaves open in its addresses' last 32.
func varied(p netip.Prefix) uint32 {
	open := min(32, p.Addr().BitLen()-p.Bits())
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(1<<open-1))
	return binary.NativeEndian.Uint32(b[:])
}

// toMTU is the longest packet that fits on a way of this MTU to the backend.
func toMTU(mtu int, b xdpBackend) uint16 {
	return uint16(max(0, min(mtu, maxPacket)-overhead(b)))
}

// overhead is how many bytes are put around a packet to the backend.
func overhead(b xdpBackend) int {
	if b.Forward != xdpForwardTUNNEL {
		return 0
	}
	n := header4
	if fromAddress(b.Addr).Is6() {
		n = header6
	}
	if b.Gue != 0 {
		n += headerUDP
	}
	return n
}

// fits reports whether every packet can be made to fit on the way to a backend:
// IPv6 asks for 1280 bytes.
func (w *wanted) fits(b lb.Backend, via way) error {
	around := overhead(w.shape(b))
	if w.VIP.Addr.Addr().Unmap().Is4() || via.mtu-around >= minMTU6 {
		return nil
	}
	return fmt.Errorf("send IPv6 by %s: its MTU is %d, of which the tunnel takes %d; IPv6 needs %d", b.Addr.Addr(), via.mtu, around, minMTU6)
}

// hopOf is the next hop that a backend has.
func hopOf(b xdpBackend) hop {
	return hop{b.Ifindex, b.Mac, int(b.Mtu) + overhead(b), fromAddress(b.Source)}
}
