package l4

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

// set16 and set8 damage a finished packet.
func set16(at int, v uint16) func([]byte) []byte {
	return func(p []byte) []byte { binary.BigEndian.PutUint16(p[at:], v); return p }
}

func set8(at int, v byte) func([]byte) []byte {
	return func(p []byte) []byte { p[at] = v; return p }
}

func cut(n int) func([]byte) []byte { return func(p []byte) []byte { return p[:n] } }

// Offsets into an Ethernet frame with an IPv4 header without options.
const (
	atVersion  = 14
	atLength   = 16
	atFragment = 20
	atProtocol = 23
	atPort     = 34
	atOffset   = 46
	atFlags    = 47
)

// Every way a packet can go that is not forwarded: what goes in, the action,
// the verdict. It comes out as it went in.
func TestPacketsThatAreNotForwarded(t *testing.T) {
	r := newRig(t)
	s := snapshot(lb.Maglev, backends(2)...)
	empty := s.Services[0]
	empty.Name, empty.VIP.Addr = "empty", netip.AddrPortFrom(vip.Addr(), 81)
	empty.Backends = nil
	s.Services = append(s.Services, empty)
	r.apply(s)

	to := func(dst string) *segment {
		return from(1000, "SYN").set(func(s *segment) { s.ip.DstIP = net.ParseIP(dst).To4() })
	}
	flags := func(flags byte) []byte { return from(1000).bytes(set8(atFlags, flags)) }
	const (
		fin, synFlag, rst, psh, ackFlag, urg = 1, 2, 4, 8, 16, 32
	)
	rows := []struct {
		name    string
		in      []byte
		action  uint32
		verdict string
	}{
		{"ARP", from(1, "SYN").bytes(set16(12, 0x0806)), xdpPass, "NOT_IP"},
		{"IPv4 that says it is IPv6", from(1, "SYN").bytes(set16(12, 0x86dd)), xdpDrop, "BAD_IP_HEADER"},
		{"a VLAN tag", from(1, "SYN").bytes(set16(12, 0x8100)), xdpPass, "NOT_IP"},
		{"another destination", to("198.18.2.1").bytes(), xdpPass, "NOT_VIP"},
		{"another destination, fragmented", to("198.18.2.1").bytes(set16(atFragment, 0x2000)), xdpPass, "NOT_VIP"},
		{"another host's MAC address", from(1, "SYN").set(func(s *segment) { s.eth.DstMAC = backendMAC(1) }).bytes(), xdpPass, "NOT_OURS"},
		{"our other interface's MAC address", from(1, "SYN").set(func(s *segment) { s.eth.DstMAC = otherMAC }).bytes(), xdpPass, "NOT_OURS"},
		{"the broadcast MAC address", from(1, "SYN").set(func(s *segment) { s.eth.DstMAC = layers.EthernetBroadcast }).bytes(), xdpPass, "NOT_OURS"},
		{"ICMP to the VIP", from(1, "SYN").bytes(set8(atProtocol, 1)), xdpPass, "OTHER_PROTOCOL"},
		{"an ICMP fragment to the VIP", from(1, "SYN").bytes(set8(atProtocol, 1), set16(atFragment, 0x2000)), xdpPass, "OTHER_PROTOCOL"},
		{"UDP to a TCP service", kind{proto: lb.UDP}.from(1).bytes(), xdpPass, "NO_SERVICE"},
		{"TCP over IPv6 to no VIP", kind{true, lb.TCP}.from(1, "SYN").bytes(), xdpPass, "NOT_VIP"},
		{"a port without a service", from(1, "SYN").set(func(s *segment) { s.tcp.DstPort = 8080 }).bytes(), xdpPass, "NO_SERVICE"},
		{"a service without backends", from(1, "SYN").set(func(s *segment) { s.tcp.DstPort = 81 }).bytes(), xdpPass, "NO_BACKEND"},

		{"a frame that ends in the IP header", from(1, "SYN").bytes(cut(33)), xdpDrop, "TRUNCATED_IP"},
		{"an Ethernet header alone", from(1, "SYN").bytes(cut(14)), xdpDrop, "TRUNCATED_IP"},
		{"IP version 5", from(1, "SYN").bytes(set8(atVersion, 0x55)), xdpDrop, "BAD_IP_HEADER"},
		{"IP header of 16 bytes", from(1, "SYN").bytes(set8(atVersion, 0x44)), xdpDrop, "BAD_IP_HEADER"},
		{"IP length one byte beyond the frame", from(1, "SYN").bytes(set16(atLength, 47)), xdpDrop, "BAD_IP_LENGTH"},
		{"IP length below the header's", from(1, "SYN").bytes(set16(atLength, 19)), xdpDrop, "BAD_IP_LENGTH"},
		{"IP length 0", from(1, "SYN").bytes(set16(atLength, 0)), xdpDrop, "BAD_IP_LENGTH"},
		{"IP options", from(1, "SYN").set(func(s *segment) {
			s.ip.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
		}).bytes(), xdpDrop, "HAS_IP_OPTIONS"},
		{"the first fragment", from(1, "SYN").bytes(set16(atFragment, 0x2000)), xdpDrop, "FRAGMENT"},
		{"the last fragment", from(1, "SYN").bytes(set16(atFragment, 0x0010)), xdpDrop, "FRAGMENT"},
		{"source 127.0.0.1", from(1, "SYN").source(netip.MustParseAddr("127.0.0.1")).bytes(), xdpDrop, "BAD_SOURCE"},
		{"source 0.0.0.0", from(1, "SYN").source(netip.MustParseAddr("0.0.0.0")).bytes(), xdpDrop, "BAD_SOURCE"},
		{"source 224.0.0.1", from(1, "SYN").source(netip.MustParseAddr("224.0.0.1")).bytes(), xdpDrop, "BAD_SOURCE"},
		{"source 255.255.255.255", from(1, "SYN").source(netip.MustParseAddr("255.255.255.255")).bytes(), xdpDrop, "BAD_SOURCE"},
		{"a frame that ends in the TCP header", from(1, "SYN").bytes(set16(atLength, 39), cut(53)), xdpDrop, "TRUNCATED_TCP"},
		{"an IP length that ends in the TCP header", from(1, "SYN").bytes(set16(atLength, 39)), xdpDrop, "TRUNCATED_TCP"},
		{"TCP data offset 4", from(1, "SYN").bytes(set8(atOffset, 4<<4)), xdpDrop, "BAD_TCP_OFFSET"},
		{"TCP data offset beyond the packet", from(1, "SYN").bytes(set8(atOffset, 6<<4)), xdpDrop, "BAD_TCP_OFFSET"},
		{"no TCP flags", flags(0), xdpDrop, "BAD_TCP_FLAGS"},
		{"FIN alone", flags(fin), xdpDrop, "BAD_TCP_FLAGS"},
		{"PSH and URG alone", flags(psh | urg), xdpDrop, "BAD_TCP_FLAGS"},
		{"all TCP flags", flags(63), xdpDrop, "BAD_TCP_FLAGS"},
		{"SYN and FIN", flags(synFlag | fin), xdpDrop, "BAD_TCP_FLAGS"},
		{"SYN and RST", flags(synFlag | rst), xdpDrop, "BAD_TCP_FLAGS"},
		{"SYN and ACK, as a server sends", flags(synFlag | ackFlag), xdpDrop, "BAD_TCP_FLAGS"},
		{"FIN and RST", flags(fin | rst | ackFlag), xdpDrop, "BAD_TCP_FLAGS"},
		{"source port 0", from(1, "SYN").bytes(set16(atPort, 0)), xdpDrop, "BAD_TCP_PORT"},
		{"land", from(80, "SYN").source(vip.Addr()).bytes(), xdpDrop, "LAND"},
		{"TTL 1", from(1, "SYN").set(func(s *segment) { s.ip.TTL = 1 }).bytes(), xdpDrop, "TTL_EXPIRED"},
		{"TTL 0", from(1, "SYN").set(func(s *segment) { s.ip.TTL = 0 }).bytes(), xdpDrop, "TTL_EXPIRED"},
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
	if n := len(r.flows()); n != 0 {
		t.Errorf("%d flows are remembered of packets that were not forwarded", n)
	}
}

// A packet comes out with the backend's MAC address and a TTL less by one, and
// otherwise as it went in: compared byte for byte, the checksum computed anew
// by gopacket.
func TestPacketsThatAreForwarded(t *testing.T) {
	headers := map[kind]int{{false, lb.TCP}: 40, {true, lb.TCP}: 60, {false, lb.UDP}: 28, {true, lb.UDP}: 48}
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			r := newRig(t)
			r.apply(k.snapshot(lb.RoundRobin, backend(1)))
			for _, ttl := range []uint8{2, 3, 64, 128, 255} {
				for id := range uint16(300) { // all carries of the checksum
					s := k.from(1000, "ACK", "PSH").ttl(ttl).set(func(s *segment) {
						s.ip.Id = id * 219
						s.payload = []byte("hello")
					})
					in := s.bytes(func(p []byte) []byte { return append(p, 0, 0, 0) }) // Ethernet padding
					want := append(s.via(portMAC, backendMAC(1)).ttl(ttl-1).bytes(), 0, 0, 0)
					got := r.send(in)
					if got.action != xdpTx || !bytes.Equal(got.out, want) {
						t.Fatalf("TTL %d, id %d: action %d (%s)\n got %x\nwant %x", ttl, id*219, got.action, got.verdict, got.out, want)
					}
				}
			}
			size := uint64(1500 * (headers[k] + len("hello")))
			if c := r.service("web").Counters; c.PacketsIn != 1500 || c.BytesIn != size || c.Connections != 1 || c.Active+c.Inactive != 1 || (c.Active == 1) != (k.proto == lb.TCP) {
				t.Errorf("counted %+v, want 1500 packets, %d bytes and 1 connection, active if it is TCP", c, size)
			}
		})
	}
}

// The two checksums that overflow when the TTL is decremented, and those beside them.
func TestChecksumOverflowsRightly(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backend(1)))
	tried := 0
	for id := range 1 << 16 {
		s := from(1000, "ACK").set(func(s *segment) { s.ip.Id = uint16(id) })
		in := s.bytes()
		if sum := binary.BigEndian.Uint16(in[24:]); sum>>8 < 0xfe {
			continue
		}
		s.eth.SrcMAC, s.eth.DstMAC, s.ip.TTL = portMAC, backendMAC(1), 63
		if got := r.send(in); !bytes.Equal(got.out, s.bytes()) {
			t.Fatalf("checksum %x\n got %x\nwant %x", in[24:26], got.out, s.bytes())
		}
		tried++
	}
	if tried < 500 {
		t.Errorf("the test means little: %d checksums tried", tried)
	}
}

// The TCP header with options, and the largest frame, are forwarded whole.
func TestLongPacketsAreForwardedWhole(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.Maglev, backend(1)))
	s := from(1000, "SYN").set(func(s *segment) {
		s.tcp.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 0xb4}}}
		s.payload = make([]byte, 1456)
	})
	in := s.bytes()
	s.eth.SrcMAC, s.eth.DstMAC, s.ip.TTL = portMAC, backendMAC(1), 63
	if got := r.send(in); got.action != xdpTx || !bytes.Equal(got.out, s.bytes()) {
		t.Errorf("a full frame came out changed: action %d, %d bytes of %d", got.action, len(got.out), len(in))
	}
}

// A backend behind another interface gets a redirect, with that interface's
// MAC address as the source.
func TestBackendBehindAnotherInterface(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		b := with(backend(101), func(b *lb.Backend) { b.Addr = netip.AddrPortFrom(farAddr, 80) })
		r.apply(k.snapshot(lb.RoundRobin, b))
		s := k.from(1000, "SYN")
		got := r.send(s.bytes())
		want := s.via(otherMAC, backendMAC(101)).ttl(63).bytes()
		if got.action != xdpRedirect || got.verdict != "NEW_FLOW" || !bytes.Equal(got.out, want) {
			t.Errorf("%s: action %d, verdict %s\n got %x\nwant %x", k, got.action, got.verdict, got.out, want)
		}
		r.drop()
	}
}

// What comes out must be what an independent decoder takes for sound.
func TestForwardedPacketHasSoundChecksums(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.apply(k.snapshot(lb.RoundRobin, backend(1)))
		checkSums(t, r.send(k.from(1000, "SYN").bytes()).out)
		r.drop()
	}
}

// checkSums verifies a packet's checksums with gopacket.
func checkSums(t *testing.T, frame []byte) {
	t.Helper()
	packet := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	if err := packet.ErrorLayer(); err != nil {
		t.Fatal(err.Error())
	}
	var network gopacket.NetworkLayer // the one before
	for _, l := range packet.Layers() {
		switch l := l.(type) {
		case gopacket.NetworkLayer:
			network = l
		case interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}:
			ok(t, l.SetNetworkLayerForChecksum(network))
		}
	}
	if packet.TransportLayer() == nil && packet.Layer(layers.LayerTypeICMPv4) == nil && packet.Layer(layers.LayerTypeICMPv6) == nil {
		t.Fatalf("the packet is %v", packet)
	}
	err, mismatches := packet.VerifyChecksums()
	ok(t, err)
	for _, m := range mismatches {
		t.Errorf("checksum of %s: %+v", m.Layer.LayerType(), m.ChecksumVerificationResult)
	}
}

func TestEveryVerdictHasANameAndASentence(t *testing.T) {
	names, err := words()
	ok(t, err)
	seen := map[string]bool{}
	for _, v := range names {
		if v.Name == "" || len(v.Text) < 20 || seen[v.Name] {
			t.Errorf("verdict %+v", v)
		}
		seen[v.Name] = true
	}
	if len(names) < 20 {
		t.Errorf("only %d verdicts", len(names))
	}
}
