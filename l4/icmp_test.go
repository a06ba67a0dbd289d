package l4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"

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

// Errors about what a backend has sent reach that backend, by every way of
// forwarding, whatever kind they are and however much they quote.
func TestErrorsReachTheBackendOfTheFlow(t *testing.T) {
	for _, k := range kinds {
		type way struct {
			name  string
			s     lb.Snapshot
			sent  func(s *segment) *segment // what the backend has sent, of what the client got
			there func(m icmp) []byte       // how the message gets there
		}
		same := func(s *segment) *segment { return s }
		plain := func(m icmp) []byte { return m.bytes() }
		ways := []way{
			{"dr", k.snapshot(lb.RoundRobin, backends(2)...), same, plain},
			{"nat", k.nat(backends(2)...), func(s *segment) *segment {
				s.tcp.SrcPort, s.udp.SrcPort = natPort, natPort
				return s.source(k.of(backendAddr(2)))
			}, func(m icmp) []byte {
				m.dst = k.of(backendAddr(2))
				return m.bytes()
			}},
		}
		for _, by := range tunnels {
			ways = append(ways, way{by.String(), k.tun(by, backends(2)...), same, func(m icmp) []byte {
				return by.aroundMessage(m, 40000, 2).wrap(m.bytes(), portMAC, backendMAC(2))
			}})
		}
		for _, w := range ways {
			t.Run(fmt.Sprintf("%s, %s", w.name, k), func(t *testing.T) {
				r := newRig(t)
				r.apply(w.s)
				r.send(k.from(39999, "SYN").bytes()) // goes to backend 1
				r.send(k.from(40000, "SYN").bytes())
				for i := range 200 {
					kinds := icmpErrors[k.six]
					e, short := kinds[i%len(kinds)], i%2 == 0
					// The VIP's packet to the client, as it met the router.
					sent := k.reply(2, 40000, "ACK").varied(i).untranslated().ttl(62)
					in := k.message(e.typ, e.code, e.rest, quoted(sent.bytes(), short))
					want := in
					want.quote = quoted(w.sent(sent).bytes(), short)
					want.from, want.to, want.ttl = portMAC, backendMAC(2), 63
					got := r.send(in.bytes())
					if out := w.there(want); got.action != xdpTx || got.verdict != "ERROR_TO_BACKEND" || !bytes.Equal(got.out, out) {
						t.Fatalf("%s %d: action %d (%s)\n got %x\nwant %x", e.name, i, got.action, got.verdict, got.out, out)
					}
				}
			})
		}
	}
}

// Under nat errors about requests reach the client, from a backend in the
// service's name, from a router in its own.
func TestErrorsOfBackendsReachTheClientUnderNAT(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.apply(k.nat(backend(1)))
		r.send(k.from(40000, "SYN").bytes())
		for i := range 400 {
			kinds := icmpErrors[k.six]
			e, short := kinds[i%len(kinds)], i%2 == 0
			in := k.message(e.typ, e.code, e.rest, quoted(k.from(40000, "ACK").varied(i).translated(1).ttl(62).bytes(), short))
			in.src, in.dst, in.from = k.of(backendAddr(1)), k.client(), backendMAC(1)
			want := in
			want.quote = quoted(k.from(40000, "ACK").varied(i).ttl(62).bytes(), short)
			want.src, want.from, want.to, want.ttl = k.vip().Addr(), portMAC, clientMAC, 63
			if i%3 == 0 {
				in.src = k.of(netip.MustParseAddr("198.18.2.254"))
				want.src = in.src
			}
			got := r.send(in.bytes())
			if got.action != xdpTx || got.verdict != "ERROR_TO_CLIENT" || !bytes.Equal(got.out, want.bytes()) {
				t.Fatalf("%s, %s %d: action %d (%s)\n got %x\nwant %x", k, e.name, i, got.action, got.verdict, got.out, want.bytes())
			}
		}
		r.drop()
	}
}

// What of ICMP is not steered: pings to a VIP are the stack's to answer, errors
// about nothing that is known its to ignore.
func TestMessagesThatAreNotSteered(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.apply(k.nat(backends(2)...))
		r.send(k.from(40000, "SYN").bytes())
		unreachable, echo, redirect := uint8(3), uint8(8), uint8(5)
		if k.six {
			unreachable, echo, redirect = 1, 128, 137
		}
		about := func(port int) []byte { return quoted(k.reply(1, port, "ACK").untranslated().bytes(), false) }
		set := func(m icmp, change func(*icmp)) icmp { change(&m); return m }
		known := k.message(unreachable, 0, 0, about(40000))
		header := 14 + 20 + 8
		if k.six {
			header = 14 + 40 + 8
		}
		rows := []struct {
			name    string
			in      []byte
			action  uint32
			verdict string
		}{
			{"the test means something", known.bytes(), xdpTx, "ERROR_TO_BACKEND"},
			{"a ping to the VIP", k.message(echo, 0, 1<<16|1, []byte("hello")).bytes(), xdpPass, "OTHER_PROTOCOL"},
			{"a ping to the balancer", set(k.message(echo, 0, 1, nil), func(m *icmp) { m.dst = k.of(balancer) }).bytes(), xdpPass, "NOT_VIP"},
			{"a redirect", k.message(redirect, 0, 0, about(40000)).bytes(), xdpPass, "OTHER_PROTOCOL"},
			{"about another port", k.message(unreachable, 0, 0, about(40001)).bytes(), xdpPass, "ERROR_UNKNOWN"},
			{"about the balancer's own", set(k.message(unreachable, 0, 0, quoted(k.from(1, "ACK").source(k.of(balancer)).bytes(), false)), func(m *icmp) { m.dst = k.of(balancer) }).bytes(), xdpPass, "NOT_VIP"},
			{"to another than whose packet it is about", set(known, func(m *icmp) { m.dst = k.of(balancer) }).bytes(), xdpPass, "NOT_VIP"},
			{"of another protocol", known.bytes(set8(header+map[bool]int{false: 9, true: 6}[k.six], 132)), xdpPass, "ERROR_UNKNOWN"},
			{"to another host's MAC address", set(known, func(m *icmp) { m.to = backendMAC(9) }).bytes(), xdpPass, "NOT_OURS"},
			{"of TTL 1", set(known, func(m *icmp) { m.ttl = 1 }).bytes(), xdpDrop, "TTL_EXPIRED"},
			{"that quotes 7 bytes behind the IP header", k.message(unreachable, 0, 0, quoted(k.reply(1, 40000, "ACK").untranslated().bytes(), true)[:header-14-8+7]).bytes(), xdpDrop, "BAD_ERROR"},
			{"that quotes nothing", k.message(unreachable, 0, 0, nil).bytes(), xdpDrop, "BAD_ERROR"},
		}
		for _, row := range rows {
			got := r.send(row.in)
			if got.action != row.action || got.verdict != row.verdict {
				t.Errorf("%s, %s: action %d, %s, want %d, %s", k, row.name, got.action, got.verdict, row.action, row.verdict)
			}
			if row.action != xdpTx && !bytes.Equal(got.out, row.in) {
				t.Errorf("%s, %s: changed\n in %x\nout %x", k, row.name, row.in, got.out)
			}
		}
		r.apply(k.nat(with(backend(1), down), backend(2)))
		if got := r.send(known.bytes()); got.action != xdpPass || got.verdict != "ERROR_UNKNOWN" {
			t.Errorf("%s, about a flow whose backend is down: action %d, %s", k, got.action, got.verdict)
		}
		r.drop()
	}
}
