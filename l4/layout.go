package l4

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// Between Go's types and the layouts of bpf/types.h, where addresses and ports
// are in network order whatever the machine's.

func toAddress(a netip.Addr) (out xdpAddress) {
	b := a.As16()
	for i := range out.Word {
		out.Word[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	return out
}

func fromAddress(a xdpAddress) netip.Addr {
	var b [16]byte
	for i, w := range a.Word {
		binary.NativeEndian.PutUint32(b[4*i:], w)
	}
	return netip.AddrFrom16(b).Unmap()
}

func toPort(p uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], p)
	return binary.NativeEndian.Uint16(b[:])
}

// toKey takes a Match of one address and port, with a protocol that plan lets through.
func toKey(m lb.Match) xdpVip {
	proto := uint8(unix.IPPROTO_TCP)
	if m.Proto == lb.UDP {
		proto = unix.IPPROTO_UDP
	}
	return xdpVip{Addr: toAddress(m.Prefix.Addr()), Port: toPort(m.First), Proto: proto}
}

func toPrefix(p netip.Prefix, class xdpClass) xdpPrefix {
	const bits = 32 // of class and family
	if p.Addr().Is4() {
		return xdpPrefix{Bits: bits + 96 + uint32(p.Bits()), Class: class, Addr: toAddress(p.Addr())}
	}
	return xdpPrefix{Bits: bits + uint32(p.Bits()), Class: class, Six: 1, Addr: toAddress(p.Addr())}
}

func fromVIP(v xdpVip) lb.VIP {
	proto := lb.TCP
	if v.Proto == unix.IPPROTO_UDP {
		proto = lb.UDP
	}
	return lb.VIP{Addr: netip.AddrPortFrom(fromAddress(v.Addr), toPort(v.Port)), Proto: proto}
}

// toName cuts what does not fit: it is read again only until the first Apply
// after a restart.
func toName(s string) (out xdpName) {
	copy(out.Text[:len(out.Text)-1], s)
	return out
}

func fromName(n xdpName) string {
	text, _, _ := bytes.Cut(n.Text[:], []byte{0})
	return string(text)
}

// A flow's owner, as bpf/owner.h packs it.

func (f xdpFlow) id() uint32          { return uint32(f.Owner >> 32) }
func (f xdpFlow) slot() uint32        { return uint32(f.Owner >> 16 & 0xffff) }
func (f xdpFlow) state() xdpFlowState { return xdpFlowState(f.Owner >> 8) }
func (f xdpFlow) kind() xdpFlowKind   { return xdpFlowKind(f.Owner) }
