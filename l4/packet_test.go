package l4

import (
	"bytes"
	"encoding/binary"
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

// A packet comes out with the backend's MAC address and a TTL less by one, and
// otherwise as it went in: compared byte for byte, the checksum computed anew
// by gopacket.
func TestPacketsThatAreForwarded(t *testing.T) {
	headers := map[kind]int{{false, lb.TCP}: 40, {true, lb.TCP}: 60, {false, lb.UDP}: 28, {true, lb.UDP}: 48}
	shared := newRig(t)
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			r := shared.again(t)
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

// checkSums verifies a frame's checksums with gopacket, those inside of tunnels, too.
func checkSums(t testing.TB, frame []byte) {
	t.Helper()
	checkSumsFrom(t, frame, layers.LayerTypeEthernet)
}

func checkSumsFrom(t testing.TB, data []byte, first gopacket.LayerType) {
	t.Helper()
	packet := gopacket.NewPacket(data, first, gopacket.Default)
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
	if udp, is := packet.TransportLayer().(*layers.UDP); is && udp.DstPort == testGUEPort {
		checkSumsFrom(t, udp.Payload, ipLayer(udp.Payload))
	}
}

// ipLayer is the layer that the packet's own version says.
func ipLayer(packet []byte) gopacket.LayerType {
	if packet[0]>>4 == 6 {
		return layers.LayerTypeIPv6
	}
	return layers.LayerTypeIPv4
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
