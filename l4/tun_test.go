package l4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/balance"
	"lbctl/internal/lb"
)

const testGUEPort = 5555

// tunnel is a way of wrapping: what is put around, of which family.
type tunnel struct {
	six bool
	gue uint16 // UDP port; 0: IPIP
}

var tunnels = []tunnel{{false, 0}, {true, 0}, {false, testGUEPort}, {true, testGUEPort}}

func (t tunnel) String() string {
	family, kind := "IPv4", "IPIP"
	if t.six {
		family = "IPv6"
	}
	if t.gue != 0 {
		kind = "GUE"
	}
	return kind + " in " + family
}

func (t tunnel) encapsulation() lb.Encapsulation {
	if t.gue == 0 {
		return lb.Encapsulation{}
	}
	return lb.Encapsulation{Kind: lb.GUE, Port: t.gue}
}

// overhead is how many bytes it takes.
func (t tunnel) overhead() int {
	n := 20
	if t.six {
		n = 40
	}
	if t.gue != 0 {
		n += 8
	}
	return n
}

// tun has one service of the kind, whose backends are at the tunnel's family.
func (k kind) tun(by tunnel, backends ...lb.Backend) lb.Snapshot {
	s := k.snapshot(lb.RoundRobin)
	v := &s.Services[0]
	v.Forward, v.L4.Tunnel = lb.Tunnel, by.encapsulation()
	for _, b := range backends {
		b.Addr = netip.AddrPortFrom(kind{six: by.six}.of(b.Addr.Addr()), b.Addr.Port())
		v.Backends = slices.Insert(v.Backends, 0, b) // the newest first
	}
	return s
}

// outer describes the header around a packet.
type outer struct {
	tunnel
	src, dst netip.Addr
	port     uint16 // GUE's source
	class    uint8
	label    uint32
	ttl      uint8
	unsummed bool // no UDP checksum over IPv6
}

// around is what the balancer puts around the client's packet for backend i.
func (t tunnel) around(s *segment, i int) outer {
	k := kind{six: t.six}
	port := uint16(s.tcp.SrcPort)
	if s.proto == lb.UDP {
		port = uint16(s.udp.SrcPort)
	}
	hash := balance.Hash(lb.Maglev, balance.Key{Src: s.sender().Unmap(), SrcPort: port})
	o := outer{
		tunnel: t, src: k.of(balancer), dst: k.of(backendAddr(i)), ttl: 64,
		port: uint16(0xc000 | hash>>18), label: hash & 0xfffff, class: s.ip.TOS,
	}
	if s.six {
		o.class = s.ip6.TrafficClass
	}
	return o
}

// wrap puts the header around the packet of a frame.
func (o outer) wrap(frame []byte, src, dst net.HardwareAddr) []byte {
	inner := layers.IPProtocolIPv4
	if frame[14]>>4 == 6 {
		inner = layers.IPProtocolIPv6
	}
	if o.gue != 0 {
		inner = layers.IPProtocolUDP
	}
	eth := &layers.Ethernet{SrcMAC: src, DstMAC: dst, EthernetType: layers.EthernetTypeIPv4}
	var network interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	} = &layers.IPv4{
		Version: 4, IHL: 5, TOS: o.class, TTL: o.ttl, Flags: layers.IPv4DontFragment, Protocol: inner,
		SrcIP: o.src.AsSlice(), DstIP: o.dst.AsSlice(),
	}
	if o.six {
		eth.EthernetType = layers.EthernetTypeIPv6
		network = &layers.IPv6{
			Version: 6, TrafficClass: o.class, FlowLabel: o.label, HopLimit: o.ttl, NextHeader: inner,
			SrcIP: o.src.AsSlice(), DstIP: o.dst.AsSlice(),
		}
	}
	all := []gopacket.SerializableLayer{eth, network}
	if o.gue != 0 {
		udp := &layers.UDP{SrcPort: layers.UDPPort(o.port), DstPort: layers.UDPPort(o.gue)}
		if err := udp.SetNetworkLayerForChecksum(network); err != nil {
			panic(err)
		}
		all = append(all, udp)
	}
	packet, padding := split(frame)
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buffer, options, append(all, gopacket.Payload(packet))...); err != nil {
		panic(err)
	}
	out := append(buffer.Bytes()[:14+o.overhead()+len(packet)], padding...)
	if o.gue != 0 && !o.six {
		out = set16(at4UDPLength+2, 0)(out)
	}
	if o.gue != 0 && o.six && o.unsummed {
		out = set16(at6UDPLength+2, 0)(out)
	}
	return out
}

// split cuts a frame into its IP packet and the padding that Ethernet asks for.
func split(frame []byte) (packet, padding []byte) {
	n := int(binary.BigEndian.Uint16(frame[16:]))
	if frame[14]>>4 == 6 {
		n = 40 + int(binary.BigEndian.Uint16(frame[18:]))
	}
	return frame[14 : 14+n], frame[14+n:]
}

// varied changes what checksums and headers carry, packet by packet.
func (s *segment) varied(i int) *segment {
	s.ip.Id, s.ip.TOS, s.ip6.TrafficClass = uint16(i*7919), uint8(i*37), uint8(i*37)
	s.tcp.Seq = uint32(i) * 2654435761
	s.payload = bytes.Repeat([]byte{byte(i * 31), byte(i * 17 >> 3), byte(i >> 2), byte(i), byte(i * 5)}, i%5)
	return s
}

// Every kind of packet in every kind of tunnel, compared byte for byte with what
// gopacket builds.
func TestTunnelsWrap(t *testing.T) {
	shared := newRig(t)
	for _, by := range tunnels {
		for _, k := range kinds {
			t.Run(fmt.Sprintf("%s, %s", by, k), func(t *testing.T) {
				r := shared.again(t)
				r.apply(k.tun(by, backend(1)))
				const n = 500
				fate := "NEW_FLOW"
				if k.proto == lb.TCP {
					fate = "ADOPTED"
				}
				for i := range n {
					in := k.from(1000+i, "ACK").varied(i)
					got := r.send(in.bytes())
					want := by.around(in, 1).wrap(in.ttl(63).bytes(), portMAC, backendMAC(1))
					if got.action != xdpTx || got.verdict != fate || !bytes.Equal(got.out, want) {
						t.Fatalf("packet %d: action %d (%s)\n got %x\nwant %x", i, got.action, got.verdict, got.out, want)
					}
					if i == 0 {
						checkSums(t, got.out)
					}
				}
				again := k.from(1000, "ACK").varied(0)
				want := by.around(again, 1).wrap(again.ttl(63).bytes(), portMAC, backendMAC(1))
				if got := r.send(again.ttl(64).bytes()); got.verdict != "KNOWN_FLOW" || !bytes.Equal(got.out, want) {
					t.Errorf("the flow goes on: action %d (%s)\n got %x\nwant %x", got.action, got.verdict, got.out, want)
				}
			})
		}
	}
}

// Under IPIP each flow has an outer source of the pool, and the same again and
// again; GUE's varies by port.
func TestTunnelSourcesVaryByFlow(t *testing.T) {
	pools := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64")}
	shared := newRig(t)
	shared.options.TunnelSources = pools
	shared.reopen()
	for _, by := range tunnels {
		r := shared.again(t)
		k := kind{false, lb.UDP}
		r.apply(k.tun(by, backend(1)))
		seen := map[string]int{}
		for i := range 512 {
			in := k.from(1000 + i).bytes()
			first, second := r.send(in).out, r.send(in).out
			if !bytes.Equal(first, second) {
				t.Fatalf("%s: a flow has two outer headers\n%x\n%x", by, first, second)
			}
			packet := gopacket.NewPacket(first, layers.LayerTypeEthernet, gopacket.Default)
			src, _ := netip.AddrFromSlice(packet.NetworkLayer().NetworkFlow().Src().Raw())
			if by.gue != 0 {
				if want := (kind{six: by.six}).of(balancer); src != want {
					t.Fatalf("%s: outer source %s, want %s", by, src, want)
				}
				seen[fmt.Sprint(packet.TransportLayer().TransportFlow().Src())]++
				continue
			}
			if !pools[0].Contains(src) && !pools[1].Contains(src) || src.Is6() != by.six {
				t.Fatalf("%s: outer source %s, want one of %v", by, src, pools)
			}
			seen[src.String()]++
		}
		if len(seen) < 200 {
			t.Errorf("%s: 512 flows have %d outer sources only", by, len(seen))
		}
	}
}
