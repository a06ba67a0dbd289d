package l4

import (
	"encoding/binary"

	"lbctl/internal/lb"
)

// What packets look like by each way of forwarding, built by gopacket.

// passed is the segment behind another hop.
func (s *segment) passed() *segment { return s.ttl(s.ip.TTL - 1) }

func requestByDR(_ *scene, s *segment, at server, damage ...func([]byte) []byte) []byte {
	return s.via(at.by, at.mac).passed().bytes(damage...)
}

func requestByNAT(x *scene, s *segment, at server, damage ...func([]byte) []byte) []byte {
	return gotByNAT(x, s, at).via(at.by, at.mac).passed().bytes(damage...)
}

func gotByNAT(_ *scene, s *segment, at server) *segment {
	return s.translated(1).target(s.of(at.addr))
}

func replyByNAT(_ *scene, s *segment) *segment { return s }

func (t tunnel) request(_ *scene, s *segment, at server, damage ...func([]byte) []byte) []byte {
	o := t.around(s, 1)
	k := kind{six: t.six}
	o.src, o.dst = k.of(at.source), k.of(at.addr)
	inner := s.passed().bytes(damage...)
	o.unsummed = s.proto == lb.UDP && !summedUp(s.kind, inner)
	return o.wrap(inner, at.by, at.mac)
}

// summedUp reports whether the datagram has a checksum that is of all its packet.
func summedUp(k kind, datagram []byte) bool {
	packet, _ := split(datagram)
	udp := packet[transport.in(k)-14:]
	return binary.BigEndian.Uint16(udp[6:]) != 0 && int(binary.BigEndian.Uint16(udp[4:])) == len(udp)
}

func sentAsGot(_ *scene, s *segment, _ server) *segment { return s }

func sentByNAT(_ *scene, s *segment, at server) *segment {
	s.tcp.SrcPort, s.udp.SrcPort = natPort, natPort
	return s.source(s.of(at.addr))
}

func aboutByDR(_ *scene, m icmp, at server) []byte {
	m.from, m.to = at.by, at.mac
	m.ttl--
	return m.bytes()
}

func aboutByNAT(x *scene, m icmp, at server) []byte {
	m.dst = m.of(at.addr)
	return aboutByDR(x, m, at)
}

// about: the message goes into the tunnel of the flow's own packets.
func (t tunnel) about(_ *scene, m icmp, at server) []byte {
	o := t.aroundMessage(m, clientPort, 1)
	o.dst = kind{six: t.six}.of(at.addr)
	m.ttl--
	return o.wrap(m.bytes(), at.by, at.mac)
}
