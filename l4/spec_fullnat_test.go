package l4

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// What packets look like under fullnat. Which local end a flow has is read in the
// flow table: it is the one thing that the specification leaves to the program.

// localOf is the local end of the flow that the client's packet is of, or one that
// is nobody's while there is no flow.
func (x *scene) localOf(s *segment) netip.AddrPort {
	x.Helper()
	client, service := s.ends()
	proto := uint8(unix.IPPROTO_TCP)
	if s.proto == lb.UDP {
		proto = unix.IPPROTO_UDP
	}
	tuple := xdpTuple6{
		Src: toAddress(client.Addr()), Dst: toAddress(service.Addr()),
		Sport: toPort(client.Port()), Dport: toPort(service.Port()), Proto: proto,
	}
	local := netip.AddrPortFrom(poolOf(s.kind).Addr(), firstPoolPort)
	x.eachFlow(func(e flowEntry) {
		if e.tuple == tuple {
			local = netip.AddrPortFrom(fromAddress(e.flow.Peer), toPort(e.flow.Pport))
		}
	})
	return local
}

func poolOf(k kind) netip.Prefix {
	if k.six {
		return pools[1]
	}
	return pools[0]
}

// ends are source and destination.
func (s *segment) ends() (from, to netip.AddrPort) {
	src, dst := s.ip.SrcIP, s.ip.DstIP
	if s.six {
		src, dst = s.ip6.SrcIP, s.ip6.DstIP
	}
	sport, dport := uint16(s.tcp.SrcPort), uint16(s.tcp.DstPort)
	if s.proto == lb.UDP {
		sport, dport = uint16(s.udp.SrcPort), uint16(s.udp.DstPort)
	}
	return netip.AddrPortFrom(addrOf(src), sport), netip.AddrPortFrom(addrOf(dst), dport)
}

// local is that of the flow under test.
func (x *scene) local() netip.AddrPort { return x.localOf(x.k.from(clientPort)) }

// sentTo makes the segment one to a local end.
func (s *segment) sentTo(local netip.AddrPort) *segment {
	s.tcp.DstPort, s.udp.DstPort = layers.TCPPort(local.Port()), layers.UDPPort(local.Port())
	return s.target(local.Addr())
}

func requestByFullNAT(x *scene, s *segment, at server, damage ...func([]byte) []byte) []byte {
	return gotByFullNAT(x, s, at).via(at.by, at.mac).passed().bytes(damage...)
}

func gotByFullNAT(x *scene, s *segment, at server) *segment {
	return s.replaced(1, x.localOf(s)).target(s.of(at.addr))
}

func replyByFullNAT(x *scene, s *segment) *segment { return s.sentTo(x.local()) }

func sentByFullNAT(x *scene, s *segment, at server) *segment {
	return sentByNAT(x, s, at).sentTo(x.local())
}

// about: a backend needs no route to any address but the local one.
func aboutByFullNAT(x *scene, m icmp, at server) []byte {
	m.src = x.local().Addr()
	return aboutByNAT(x, m, at)
}

// unnumbered says "local" of the flows' local ends, which differ between families.
func (x *scene) unnumbered(text string) string {
	port := fmt.Sprint(x.local().Port())
	names := []string{"balancer:" + port, "balancer:port"}
	for _, from := range []int{clientPort, clientPort + 1} {
		local := x.localOf(x.k.from(from))
		names = append(names, local.String(), "local:port", nameOf(local.Addr()), "local")
	}
	return strings.NewReplacer(names...).Replace(text)
}

// oneLocalPort leaves one to s1.
func oneLocalPort(x *scene) {
	x.mu.Lock() // refreshHops runs beside this
	defer x.mu.Unlock()
	for _, v := range x.state.services {
		if len(v.members) > 0 {
			m := v.find(1)
			next := m.backend
			next.Ports, next.Vary = 1, 0
			ok(x, x.writeMember(m, next))
		}
	}
}
