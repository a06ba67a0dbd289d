package l4

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

// What an XDP program can say (linux/bpf.h).
const (
	xdpDrop     = 1
	xdpPass     = 2
	xdpTx       = 3
	xdpRedirect = 4
)

// result is what became of a packet.
type result struct {
	action  uint32
	verdict string
	out     []byte
}

// send runs the program on a packet that came in by eth0.
func (r *rig) send(packet []byte) result {
	r.Helper()
	before := r.met()
	var res result
	ok(r, r.ns.Do(func() (err error) {
		res, err = r.run(packet)
		return err
	}))
	names, err := words()
	ok(r, err)
	for i, after := range r.met() {
		switch after - before[i] {
		case 0:
		case 1:
			if res.verdict != "" {
				r.Fatalf("the packet has two verdicts: %s and %s", res.verdict, names[i].Name)
			}
			res.verdict = names[i].Name
		default:
			r.Fatalf("verdict %s was counted %d times", names[i].Name, after-before[i])
		}
	}
	return res
}

// met is how many packets have met each verdict, read by one system call.
func (r *rig) met() []uint64 {
	r.Helper()
	cpus, err := ebpf.PossibleCPU()
	ok(r, err)
	n := int(r.objects.Verdicts.MaxEntries())
	keys, values := make([]uint32, n), make([]uint64, n*cpus)
	var cursor ebpf.MapBatchCursor
	read, err := r.objects.Verdicts.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) || read != n {
		r.Fatalf("read %d of %d verdicts: %v", read, n, err)
	}
	sums := make([]uint64, n)
	for i := range sums {
		for _, v := range values[i*cpus : (i+1)*cpus] {
			sums[i] += v
		}
	}
	return sums
}

// run runs the program of the hook under test; it must be called inside the
// namespace. Actions are told in XDP's words.
func (r *rig) run(packet []byte) (result, error) {
	if hook == lb.HookTCX {
		if r.cuts {
			return r.runSKB(packet, r.skb(), 0)
		}
		return r.runSKB(packet, r.skb(), checksumComplete)
	}
	options := &ebpf.RunOptions{Data: packet, DataOut: make([]byte, len(packet)+64), Context: r.context(packet)}
	action, err := r.objects.Balance.Run(options)
	return result{action: action, out: options.DataOut}, err
}

// context is a struct xdp_md.
func (r *rig) context(packet []byte) []byte {
	c := make([]byte, 24)
	binary.NativeEndian.PutUint32(c[4:], uint32(len(packet)))
	binary.NativeEndian.PutUint32(c[12:], uint32(r.ifindex))
	return c
}

// burst runs many packets without looking at verdicts, and returns the number
// of the backend that each went to, 0 for none.
func (r *rig) burst(packets [][]byte) []int {
	r.Helper()
	chosen := make([]int, len(packets))
	ok(r, r.ns.Do(func() error {
		for i, packet := range packets {
			got, err := r.run(packet)
			if err != nil {
				return err
			}
			if got.action == xdpTx {
				chosen[i] = int(got.out[5])
			}
		}
		return nil
	}))
	return chosen
}

// backendOf returns the number of the backend that a forwarded packet went to.
func (r *rig) backendOf(packet []byte) lb.BackendID {
	r.Helper()
	return lb.BackendID(r.burst([][]byte{packet})[0])
}

// segment describes a packet; its fields can be changed before bytes. Those of
// the other family and protocol are of no meaning.
type segment struct {
	kind
	eth     layers.Ethernet
	ip      layers.IPv4
	ip6     layers.IPv6
	tcp     layers.TCP
	udp     layers.UDP
	payload gopacket.Payload
}

// from is a TCP segment over IPv4 of the client's connection from a port to the VIP.
func from(port int, flags ...string) *segment {
	return kind{proto: lb.TCP}.from(port, flags...)
}

// from is a packet of the client's flow from a port to the VIP; flags are of TCP.
func (k kind) from(port int, flags ...string) *segment {
	proto := layers.IPProtocolTCP
	if k.proto == lb.UDP {
		proto = layers.IPProtocolUDP
	}
	s := &segment{
		kind: k,
		eth:  layers.Ethernet{SrcMAC: clientMAC, DstMAC: portMAC, EthernetType: layers.EthernetTypeIPv4},
		ip:   layers.IPv4{Version: 4, IHL: 5, TTL: 64, Id: 7, Protocol: proto},
		ip6:  layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, FlowLabel: 0x12345, TrafficClass: 0x28},
		tcp:  layers.TCP{SrcPort: layers.TCPPort(port), DstPort: layers.TCPPort(vip.Port()), Seq: 1, Window: 1000},
		udp:  layers.UDP{SrcPort: layers.UDPPort(port), DstPort: layers.UDPPort(vip.Port())},
	}
	if k.six {
		s.eth.EthernetType = layers.EthernetTypeIPv6
	}
	s.source(k.client()).target(k.vip().Addr())
	for _, f := range flags {
		switch f {
		case "SYN":
			s.tcp.SYN = true
		case "ACK":
			s.tcp.ACK = true
		case "FIN":
			s.tcp.FIN = true
		case "RST":
			s.tcp.RST = true
		case "PSH":
			s.tcp.PSH = true
		case "URG":
			s.tcp.URG = true
		}
	}
	return s
}

func (s *segment) set(change func(*segment)) *segment {
	change(s)
	return s
}

func (s *segment) source(a netip.Addr) *segment {
	s.ip.SrcIP, s.ip6.SrcIP = net.IP(a.AsSlice()), net.IP(a.AsSlice())
	return s
}

// sender is the source.
func (s *segment) sender() netip.Addr {
	src := s.ip.SrcIP
	if s.six {
		src = s.ip6.SrcIP
	}
	a, _ := netip.AddrFromSlice(src)
	return a
}

func (s *segment) target(a netip.Addr) *segment {
	s.ip.DstIP, s.ip6.DstIP = net.IP(a.AsSlice()), net.IP(a.AsSlice())
	return s
}

// ttl sets the hop limit as well.
func (s *segment) ttl(n uint8) *segment {
	s.ip.TTL, s.ip6.HopLimit = n, n
	return s
}

// via sets the Ethernet addresses.
func (s *segment) via(src, dst net.HardwareAddr) *segment {
	s.eth.SrcMAC, s.eth.DstMAC = src, dst
	return s
}

// bytes serializes the segment with right lengths and checksums, and then
// applies the damage, if any.
func (s *segment) bytes(damage ...func([]byte) []byte) []byte {
	var network interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	} = &s.ip
	if s.six {
		network = &s.ip6
	}
	var transport interface {
		gopacket.SerializableLayer
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	} = &s.tcp
	if s.proto == lb.UDP {
		transport = &s.udp
	}
	if err := transport.SetNetworkLayerForChecksum(network); err != nil {
		panic(err)
	}
	buffer := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&s.eth, network, transport, s.payload)
	if err != nil {
		panic(err)
	}
	out := buffer.Bytes()
	for _, f := range damage {
		out = f(out)
	}
	return out
}

func syn(port int) []byte { return from(port, "SYN").bytes() }
func ack(port int) []byte { return from(port, "ACK").bytes() }
