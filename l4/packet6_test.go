package l4

import (
	"bytes"
	"net/netip"
	"testing"

	"lbctl/internal/lb"
)

// Offsets into an Ethernet frame with an IPv6 header, and of UDP in either family.
const (
	at6Length     = 18
	at6NextHeader = 20
	at6Transport  = 54
	at4UDPLength  = 38
	at6UDPLength  = 58
)

// extended puts 8 bytes of an IPv6 extension header before the transport header.
func extended(number byte, rest ...byte) func([]byte) []byte {
	return func(p []byte) []byte {
		header := append([]byte{p[at6NextHeader], 0}, rest...)
		out := append(bytes.Clone(p[:at6Transport]), append(header, make([]byte, 8-len(header))...)...)
		out[at6NextHeader] = number
		out[at6Length+1] += 8
		return append(out, p[at6Transport:]...)
	}
}

// What IPv6 and UDP add to the ways a packet can go that is not forwarded.
func TestPackets6AndDatagramsThatAreNotForwarded(t *testing.T) {
	r := newRig(t)
	s := lb.Snapshot{Revision: 1}
	for _, k := range kinds {
		v := k.snapshot(lb.Maglev, backends(2)...).Services[0]
		v.Name = k.String()
		s.Services = append(s.Services, v)
	}
	r.apply(s)
	six, datagram, datagram6 := kind{true, lb.TCP}, kind{false, lb.UDP}, kind{true, lb.UDP}
	tcp := func() *segment { return six.from(1000, "SYN") }
	by := func(src string) []byte { return tcp().source(netip.MustParseAddr(src)).bytes() }
	fragment := []byte{0, 1, 0, 0, 0, 9} // offset 0, more to come
	rows := []struct {
		name    string
		in      []byte
		action  uint32
		verdict string
	}{
		{"to no VIP", tcp().target(netip.MustParseAddr("2001:2::201")).bytes(), xdpPass, "NOT_VIP"},
		{"to all nodes", tcp().target(netip.MustParseAddr("ff02::1")).bytes(), xdpPass, "NOT_VIP"},
		{"neighbour solicitation for the VIP", tcp().target(netip.MustParseAddr("ff02::1:ff00:301")).bytes(set8(at6NextHeader, 58)), xdpPass, "NOT_VIP"},
		{"another host's MAC address", tcp().via(clientMAC, backendMAC(1)).bytes(), xdpPass, "NOT_OURS"},
		{"a ping to the VIP", tcp().bytes(set8(at6NextHeader, 58), set8(at6Transport, 128)), xdpPass, "OTHER_PROTOCOL"},
		{"no next header", tcp().bytes(set8(at6NextHeader, 59)), xdpPass, "OTHER_PROTOCOL"},
		{"SCTP to the VIP", tcp().bytes(set8(at6NextHeader, 132)), xdpPass, "OTHER_PROTOCOL"},
		{"a fragment of ICMPv6", tcp().bytes(set8(at6NextHeader, 58), extended(44, fragment...)), xdpPass, "OTHER_PROTOCOL"},
		{"a port without a service", tcp().set(func(s *segment) { s.tcp.DstPort = 8080 }).bytes(), xdpPass, "NO_SERVICE"},
		{"a UDP port without a service", datagram6.from(1).set(func(s *segment) { s.udp.DstPort = 8080 }).bytes(), xdpPass, "NO_SERVICE"},

		{"a frame that ends in the IPv6 header", tcp().bytes(cut(53)), xdpDrop, "TRUNCATED_IP"},
		{"version 4", tcp().bytes(set8(atVersion, 0x45)), xdpDrop, "BAD_IP_HEADER"},
		{"a payload one byte beyond the frame", tcp().bytes(set16(at6Length, 21)), xdpDrop, "BAD_IP_LENGTH"},
		{"a payload of 0 bytes", tcp().bytes(set16(at6Length, 0)), xdpDrop, "TRUNCATED_TCP"},
		{"hop-by-hop options", tcp().bytes(extended(0, 1, 4)), xdpDrop, "HAS_IP_OPTIONS"},
		{"a routing header", tcp().bytes(extended(43)), xdpDrop, "HAS_IP_OPTIONS"},
		{"destination options", tcp().bytes(extended(60, 1, 4)), xdpDrop, "HAS_IP_OPTIONS"},
		{"an authentication header", tcp().bytes(extended(51)), xdpDrop, "HAS_IP_OPTIONS"},
		{"the first fragment of TCP", tcp().bytes(extended(44, fragment...)), xdpDrop, "FRAGMENT"},
		{"a later fragment of TCP", tcp().bytes(extended(44, 1, 0)), xdpDrop, "FRAGMENT"},
		{"an atomic fragment of TCP", tcp().bytes(extended(44, 0, 0)), xdpDrop, "FRAGMENT"},
		{"a fragment of UDP", datagram6.from(1).bytes(extended(44, fragment...)), xdpDrop, "FRAGMENT"},
		{"a frame that ends before the fragment header", tcp().bytes(set8(at6NextHeader, 44), cut(54)), xdpPass, "OTHER_PROTOCOL"},
		{"source ::", by("::"), xdpDrop, "BAD_SOURCE"},
		{"source ::1", by("::1"), xdpDrop, "BAD_SOURCE"},
		{"source ::ffff:198.18.1.1", by("::ffff:198.18.1.1"), xdpDrop, "BAD_SOURCE"},
		{"source ff02::1", by("ff02::1"), xdpDrop, "BAD_SOURCE"},
		{"a frame that ends in the TCP header", tcp().bytes(set16(at6Length, 19), cut(73)), xdpDrop, "TRUNCATED_TCP"},
		{"TCP data offset beyond the packet", tcp().bytes(set8(at6Transport+12, 6<<4)), xdpDrop, "BAD_TCP_OFFSET"},
		{"SYN and FIN", tcp().bytes(set8(at6Transport+13, 3)), xdpDrop, "BAD_TCP_FLAGS"},
		{"source port 0", tcp().bytes(set16(at6Transport, 0)), xdpDrop, "BAD_TCP_PORT"},
		{"land", six.from(80, "SYN").source(six.vip().Addr()).bytes(), xdpDrop, "LAND"},
		{"hop limit 1", tcp().ttl(1).bytes(), xdpDrop, "TTL_EXPIRED"},
		{"hop limit 0", tcp().ttl(0).bytes(), xdpDrop, "TTL_EXPIRED"},

		{"a UDP fragment", datagram.from(1).bytes(set16(atFragment, 0x2000)), xdpDrop, "FRAGMENT"},
		{"a UDP packet that ends in the UDP header", datagram.from(1).bytes(set16(atLength, 27)), xdpDrop, "TRUNCATED_UDP"},
		{"a frame that ends in the UDP header", datagram.from(1).bytes(set16(atLength, 27), cut(41)), xdpDrop, "TRUNCATED_UDP"},
		{"UDP length 7", datagram.from(1).bytes(set16(at4UDPLength, 7)), xdpDrop, "BAD_UDP_LENGTH"},
		{"UDP length 0", datagram6.from(1).bytes(set16(at6UDPLength, 0)), xdpDrop, "BAD_UDP_LENGTH"},
		{"UDP length beyond the packet", datagram6.from(1).bytes(set16(at6UDPLength, 9)), xdpDrop, "BAD_UDP_LENGTH"},
		{"UDP land", datagram.from(80).source(vip.Addr()).bytes(), xdpDrop, "LAND"},
		{"UDP land over IPv6", datagram6.from(80).source(six.vip().Addr()).bytes(), xdpDrop, "LAND"},
		{"UDP of TTL 1", datagram.from(1).ttl(1).bytes(), xdpDrop, "TTL_EXPIRED"},
	}
	for _, row := range rows {
		if cannotRun(row.in) {
			continue
		}
		in := bytes.Clone(row.in)
		got := r.send(row.in)
		if got.action != row.action || got.verdict != row.verdict {
			t.Errorf("%s: action %d, verdict %s, want %d, %s", row.name, got.action, got.verdict, row.action, row.verdict)
		}
		if !bytes.Equal(got.out, in) {
			t.Errorf("%s: the packet was changed\n in %x\nout %x", row.name, in, got.out)
		}
	}
	if stats, err := r.Stats(); err != nil || stats.Flows != 0 {
		t.Errorf("%d flows are remembered of packets that were not forwarded (%v)", stats.Flows, err)
	}
}

// A datagram's source port may be 0, its checksum too, and it may be shorter
// than its packet.
func TestLawfulOddDatagramsAreForwarded(t *testing.T) {
	r := newRig(t)
	r.apply(kind{false, lb.UDP}.snapshot(lb.Maglev, backends(2)...))
	for name, damage := range map[string]func([]byte) []byte{
		"source port 0": set16(atPort, 0),
		"no checksum":   set16(atPort+6, 0),
		"shorter":       set16(at4UDPLength, 8),
	} {
		in := kind{false, lb.UDP}.from(7).set(func(s *segment) { s.payload = []byte("hello") }).bytes(damage)
		if got := r.send(in); got.action != xdpTx || !bytes.Equal(got.out[atPort:], in[atPort:]) {
			t.Errorf("%s: action %d (%s)\n in %x\nout %x", name, got.action, got.verdict, in, got.out)
		}
	}
}
