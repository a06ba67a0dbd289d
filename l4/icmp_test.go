package l4

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

// icmp describes an ICMP message, of either family.
type icmp struct {
	kind
	src, dst   netip.Addr
	from, to   net.HardwareAddr
	typ, code  uint8
	rest       uint32
	ttl, class uint8
	quote      []byte // what follows
}

// message comes from a router beside the client and is to the VIP.
func (k kind) message(typ, code uint8, rest uint32, quote []byte) icmp {
	return icmp{
		kind: k, src: k.of(netip.MustParseAddr("198.18.1.254")), dst: k.vip().Addr(), from: clientMAC, to: portMAC,
		typ: typ, code: code, rest: rest, ttl: 64, quote: quote,
	}
}

func (m icmp) bytes(damage ...func([]byte) []byte) []byte {
	eth := &layers.Ethernet{SrcMAC: m.from, DstMAC: m.to, EthernetType: layers.EthernetTypeIPv4}
	all := []gopacket.SerializableLayer{eth}
	rest := binary.BigEndian.AppendUint32(nil, m.rest)
	if m.six {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip := &layers.IPv6{
			Version: 6, HopLimit: m.ttl, TrafficClass: m.class, NextHeader: layers.IPProtocolICMPv6,
			SrcIP: m.src.AsSlice(), DstIP: m.dst.AsSlice(),
		}
		six := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(m.typ, m.code)}
		if err := six.SetNetworkLayerForChecksum(ip); err != nil {
			panic(err)
		}
		all = append(all, ip, six, gopacket.Payload(append(rest, m.quote...)))
	} else {
		all = append(all, &layers.IPv4{
			Version: 4, IHL: 5, TTL: m.ttl, TOS: m.class, Id: 9, Protocol: layers.IPProtocolICMPv4,
			SrcIP: m.src.AsSlice(), DstIP: m.dst.AsSlice(),
		}, &layers.ICMPv4{
			TypeCode: layers.CreateICMPv4TypeCode(m.typ, m.code), Id: uint16(m.rest >> 16), Seq: uint16(m.rest),
		}, gopacket.Payload(m.quote))
	}
	buffer := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		panic(err)
	}
	out := buffer.Bytes()
	for _, f := range damage {
		out = f(out)
	}
	return out
}

// around is what the balancer puts around a message that goes to backend i.
func (t tunnel) aroundMessage(m icmp, port, i int) outer {
	s := kind{m.six, lb.TCP}.from(port).source(m.src) // by whose source and port it is hashed
	s.ip.TOS, s.ip6.TrafficClass = m.class, m.class
	return t.around(s, i)
}

// icmpErrors are all that are about a packet, by family.
var icmpErrors = map[bool][]struct {
	name      string
	typ, code uint8
	rest      uint32
}{
	false: {
		{"net unreachable", 3, 0, 0},
		{"host unreachable", 3, 1, 0},
		{"port unreachable", 3, 3, 0},
		{"fragmentation needed", 3, 4, 1400},
		{"time exceeded", 11, 0, 0},
		{"parameter problem", 12, 0, 8 << 24},
	},
	true: {
		{"no route", 1, 0, 0},
		{"port unreachable", 1, 4, 0},
		{"packet too big", 2, 0, 1400},
		{"time exceeded", 3, 0, 0},
		{"parameter problem", 4, 1, 6},
	},
}

// quoted is a packet as an error quotes it: whole, or its IP header and 8 bytes.
func quoted(frame []byte, short bool) []byte {
	packet, _ := split(frame)
	if !short {
		return packet
	}
	if packet[0]>>4 == 6 {
		return packet[:48]
	}
	return packet[:28]
}
