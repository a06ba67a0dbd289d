package l4

import (
	"net"
	"net/netip"

	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

var (
	first = flow("SYN") // of a flow
	later = flow("ACK")
)

func toMAC(mac net.HardwareAddr) func(*scene, *segment) {
	return func(_ *scene, s *segment) { s.eth.DstMAC = mac }
}

func toBalancer(x *scene, s *segment) { s.target(x.k.of(balancer)) }

func to(addr string) func(*scene, *segment) {
	return func(_ *scene, s *segment) { s.target(netip.MustParseAddr(addr)) }
}

var passedOn = []situation{
	{name: "ARP", in: first.damaged(put16(etherType, 0x0806)), verdict: "NOT_IP"},
	{name: "a VLAN tag", in: first.damaged(put16(etherType, 0x8100)), verdict: "NOT_IP"},
	{name: "another destination", in: first.with(toBalancer), verdict: "NOT_VIP"},
	{name: "another destination, in fragments", of: four, in: first.with(toBalancer).damaged(put16(fragment4, 0x2000)), verdict: "NOT_VIP"},
	{name: "another destination, in fragments", of: six, in: first.with(toBalancer).damaged(extension(44, moreToCome...)), verdict: "NOT_VIP"},
	{name: "to all nodes", of: six, in: first.with(to("ff02::1")), verdict: "NOT_VIP"},
	{name: "neighbour solicitation for the VIP", of: six, in: first.with(to("ff02::1:ff00:301")).damaged(put8(protocol, 58)), verdict: "NOT_VIP"},
	{name: "the other family's service", of: both(four, tcp), in: otherFamily, verdict: "NOT_VIP"},
	{name: "another host's MAC address", in: first.with(toMAC(backendMAC(1))), verdict: "NOT_OURS"},
	{name: "the MAC address of our other interface", in: first.with(toMAC(otherMAC)), verdict: "NOT_OURS"},
	{name: "the broadcast MAC address", in: first.with(toMAC(layers.EthernetBroadcast)), verdict: "NOT_OURS"},
	{name: "SCTP to the VIP", in: first.damaged(put8(protocol, 132)), verdict: "OTHER_PROTOCOL"},
	{name: "a fragment of ICMP to the VIP", of: four, in: first.damaged(put8(protocol, 1), put16(fragment4, 0x2000)), verdict: "OTHER_PROTOCOL"},
	{name: "a fragment of ICMP to the VIP", of: six, in: first.damaged(put8(protocol, 58), extension(44, moreToCome...)), verdict: "OTHER_PROTOCOL"},
	{name: "a frame that ends before the fragment header", of: six, in: first.damaged(put8(protocol, 44), cutIn(transport, 0)), verdict: "OTHER_PROTOCOL"},
	{name: "no next header", of: six, in: first.damaged(put8(protocol, 59)), verdict: "OTHER_PROTOCOL"},
	{name: "a port without a service", in: first.with(toService(closedPort)), verdict: "NO_SERVICE"},
	{name: "the service's port of the other protocol", in: otherProtocol, verdict: "NO_SERVICE"},
	{name: "a service without backends", in: first.with(toService(nonePort)), verdict: "NO_BACKEND"},
	{name: "a new flow while the only backend drains", before: []event{alone, goes("drains", 1, draining)}, in: first, verdict: "NO_BACKEND"},
	{name: "a flow whose only backend is down", before: []event{alone, comes(first), goes("is down", 1, down)}, in: later, verdict: "NO_BACKEND"},
}

var moreToCome = []byte{0, 1, 0, 0, 0, 9} // of a fragment header: offset 0, more fragments

// otherFamily is addressed to a VIP that no service has in this snapshot.
var otherFamily = packet(func(*scene) *segment { return kind{true, lb.TCP}.from(clientPort, "SYN") })

var otherProtocol = packet(func(x *scene) *segment {
	proto := lb.TCP
	if x.k.proto == lb.TCP {
		proto = lb.UDP
	}
	return kind{x.k.six, proto}.from(clientPort, "SYN")
})

var malformed = []situation{
	{name: "an Ethernet header alone", in: first.damaged(cutIn(version, 0)), verdict: "TRUNCATED_IP"},
	{name: "a frame that ends in the IP header", in: first.damaged(cutIn(transport, -1)), verdict: "TRUNCATED_IP"},
	{name: "the other version than the frame says", of: four, in: first.damaged(put16(etherType, 0x86dd)), verdict: "BAD_IP_HEADER"},
	{name: "IP version 5", in: first.damaged(put8(version, 0x55)), verdict: "BAD_IP_HEADER"},
	{name: "the other version than the frame says", of: six, in: first.damaged(put8(version, 0x45)), verdict: "BAD_IP_HEADER"},
	{name: "an IP header of 16 bytes", of: four, in: first.damaged(put8(version, 0x44)), verdict: "BAD_IP_HEADER"},
	{name: "an IP length one byte beyond the frame", in: first.damaged(says(beyond)), verdict: "BAD_IP_LENGTH"},
	{name: "an IP length below the header's", of: four, in: first.damaged(put16(ipLength, 19)), verdict: "BAD_IP_LENGTH"},
	{name: "IP length 0", of: four, in: first.damaged(put16(ipLength, 0)), verdict: "BAD_IP_LENGTH"},
	{name: "IP length 0", of: both(six, tcp), in: first.damaged(put16(ipLength, 0)), verdict: "TRUNCATED_TCP"},
	{name: "IP length 0", of: both(six, udp), in: first.damaged(put16(ipLength, 0)), verdict: "TRUNCATED_UDP"},
	{name: "IP options", of: four, in: first.with(func(_ *scene, s *segment) {
		s.ip.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
	}), verdict: "HAS_IP_OPTIONS"},
	{name: "hop-by-hop options", of: six, in: first.damaged(extension(0, 1, 4)), verdict: "HAS_IP_OPTIONS"},
	{name: "a routing header", of: six, in: first.damaged(extension(43)), verdict: "HAS_IP_OPTIONS"},
	{name: "destination options", of: six, in: first.damaged(extension(60, 1, 4)), verdict: "HAS_IP_OPTIONS"},
	{name: "an authentication header", of: six, in: first.damaged(extension(51)), verdict: "HAS_IP_OPTIONS"},
	{name: "the first fragment", of: four, in: first.damaged(put16(fragment4, 0x2000)), verdict: "FRAGMENT"},
	{name: "the last fragment", of: four, in: first.damaged(put16(fragment4, 0x0010)), verdict: "FRAGMENT"},
	{name: "the first fragment", of: six, in: first.damaged(extension(44, moreToCome...)), verdict: "FRAGMENT"},
	{name: "the last fragment", of: six, in: first.damaged(extension(44, 1, 0)), verdict: "FRAGMENT"},
	{name: "a fragment that is the whole (RFC 6946)", of: six, in: first.damaged(extension(44, 0, 0)), verdict: "FRAGMENT"},
	{name: "source 127.0.0.1", of: four, in: first.with(by("127.0.0.1")), verdict: "BAD_SOURCE"},
	{name: "source 0.0.0.0", of: four, in: first.with(by("0.0.0.0")), verdict: "BAD_SOURCE"},
	{name: "source 224.0.0.1", of: four, in: first.with(by("224.0.0.1")), verdict: "BAD_SOURCE"},
	{name: "source 255.255.255.255", of: four, in: first.with(by("255.255.255.255")), verdict: "BAD_SOURCE"},
	{name: "source ::", of: six, in: first.with(by("::")), verdict: "BAD_SOURCE"},
	{name: "source ::1", of: six, in: first.with(by("::1")), verdict: "BAD_SOURCE"},
	{name: "source ::ffff:198.18.1.1", of: six, in: first.with(by("::ffff:198.18.1.1")), verdict: "BAD_SOURCE"},
	{name: "source ff02::1", of: six, in: first.with(by("ff02::1")), verdict: "BAD_SOURCE"},
	{name: "a frame that ends in the TCP header", of: tcp, in: first.damaged(says(short1), cutIn(transport, 19)), verdict: "TRUNCATED_TCP"},
	{name: "an IP length that ends in the TCP header", of: tcp, in: first.damaged(says(short1)), verdict: "TRUNCATED_TCP"},
	{name: "a frame that ends in the UDP header", of: udp, in: first.damaged(says(short1), cutIn(transport, 7)), verdict: "TRUNCATED_UDP"},
	{name: "an IP length that ends in the UDP header", of: udp, in: first.damaged(says(short1)), verdict: "TRUNCATED_UDP"},
	{name: "TCP data offset 4", of: tcp, in: first.damaged(put8(tcpOffset, 4<<4)), verdict: "BAD_TCP_OFFSET"},
	{name: "a TCP data offset beyond the packet", of: tcp, in: first.damaged(put8(tcpOffset, 6<<4)), verdict: "BAD_TCP_OFFSET"},
	{name: "no TCP flags", of: tcp, in: flow(), verdict: "BAD_TCP_FLAGS"},
	{name: "FIN alone", of: tcp, in: flow("FIN"), verdict: "BAD_TCP_FLAGS"},
	{name: "PSH and URG alone", of: tcp, in: flow("PSH", "URG"), verdict: "BAD_TCP_FLAGS"},
	{name: "all TCP flags", of: tcp, in: flow("SYN", "ACK", "FIN", "RST", "PSH", "URG"), verdict: "BAD_TCP_FLAGS"},
	{name: "SYN and FIN", of: tcp, in: flow("SYN", "FIN"), verdict: "BAD_TCP_FLAGS"},
	{name: "SYN and RST", of: tcp, in: flow("SYN", "RST"), verdict: "BAD_TCP_FLAGS"},
	{name: "SYN and ACK, as a server sends", of: tcp, in: flow("SYN", "ACK"), verdict: "BAD_TCP_FLAGS"},
	{name: "FIN and RST", of: tcp, in: flow("FIN", "RST", "ACK"), verdict: "BAD_TCP_FLAGS"},
	{name: "bad flags amid a flow", of: tcp, before: []event{comes(first)}, in: flow("FIN"), verdict: "BAD_TCP_FLAGS"},
	{name: "TCP source port 0", of: tcp, in: flowFrom(0, "SYN"), verdict: "BAD_TCP_PORT"},
	{name: "UDP length 7", of: udp, in: first.damaged(put16(udpLength, 7)), verdict: "BAD_UDP_LENGTH"},
	{name: "UDP length 0", of: udp, in: first.damaged(put16(udpLength, 0)), verdict: "BAD_UDP_LENGTH"},
	{name: "a UDP length beyond the packet", of: udp, in: first.damaged(put16(udpLength, 9)), verdict: "BAD_UDP_LENGTH"},
	{name: "the service to itself", in: flowFrom(80, "SYN").with(func(x *scene, s *segment) { s.source(x.k.vip().Addr()) }), verdict: "LAND"},
	{name: "a hop count of 1", in: first.with(hops(1)), verdict: "TTL_EXPIRED"},
	{name: "a hop count of 0", in: first.with(hops(0)), verdict: "TTL_EXPIRED"},
	{name: "a hop count of 1 amid a flow", before: []event{comes(first)}, in: later.with(hops(1)), verdict: "TTL_EXPIRED"},
}

func by(src string) func(*scene, *segment) {
	return func(_ *scene, s *segment) { s.source(netip.MustParseAddr(src)) }
}

func hops(n uint8) func(*scene, *segment) { return func(_ *scene, s *segment) { s.ttl(n) } }
