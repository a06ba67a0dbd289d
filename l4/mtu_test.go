package l4

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"

	"lbctl/internal/lb"
)

// long makes the packet that many bytes, from the IP header on.
func (s *segment) long(bytes int) *segment {
	headers := map[kind]int{{false, lb.TCP}: 40, {true, lb.TCP}: 60, {false, lb.UDP}: 28, {true, lb.UDP}: 48}
	s.payload = make([]byte, bytes-headers[s.kind])
	for i := range s.payload {
		s.payload[i] = byte(i * 7)
	}
	s.ip.Flags = layers.IPv4DontFragment
	return s
}

// tooBig is the answer to a frame that does not fit through an MTU, from where it was sent to.
func (k kind) tooBig(frame []byte, mtu int, src, dst netip.Addr) []byte {
	var network interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	}
	var icmp []gopacket.SerializableLayer
	eth := &layers.Ethernet{
		SrcMAC: net.HardwareAddr(frame[:6]), DstMAC: net.HardwareAddr(frame[6:12]), EthernetType: layers.EthernetTypeIPv4,
	}
	if k.six {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolICMPv6, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		six := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypePacketTooBig, 0)}
		err := six.SetNetworkLayerForChecksum(ip)
		if err != nil {
			panic(err)
		}
		network, icmp = ip, []gopacket.SerializableLayer{six, gopacket.Payload{0, 0, byte(mtu >> 8), byte(mtu)}}
	} else {
		network = &layers.IPv4{
			Version: 4, IHL: 5, TOS: 0xc0, TTL: 64, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolICMPv4,
			SrcIP: src.AsSlice(), DstIP: dst.AsSlice(),
		}
		icmp = []gopacket.SerializableLayer{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 4), Seq: uint16(mtu)}}
	}
	buffer := gopacket.NewSerializeBuffer()
	all := append([]gopacket.SerializableLayer{eth, network}, icmp...)
	all = append(all, gopacket.Payload(frame[14:14+504]))
	if err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		panic(err)
	}
	return buffer.Bytes()
}

// allow lets the next answer go, however many went before.
func (r *rig) allow() {
	r.Helper()
	ok(r, r.objects.Told.Put(uint32(0), make([]uint64, len(perCPU(r)))))
}

func perCPU(r *rig) (out []uint64) {
	r.Helper()
	ok(r, r.objects.Told.Lookup(uint32(0), &out))
	return out
}

// What is told of and not forwarded is in no counter of the service, and begins no flow.
func TestWhatDoesNotFitIsNotCounted(t *testing.T) {
	r := newRig(t)
	r.cuts = true
	for _, f := range forwardings() {
		r.apply(f.snapshot(kinds[0], backend(1)))
		before := r.service("web").Counters
		if got := r.send(from(1000, "ACK").long(f.room + 1).bytes()); got.verdict != "TOO_BIG" {
			t.Errorf("%s: %s, want TOO_BIG", f.name, got.verdict)
		}
		if after := r.service("web").Counters; after != before || r.entries() != 0 {
			t.Errorf("%s: counted %+v, before it %+v, %d flows", f.name, after, before, r.entries())
		}
	}
}

// Of a flood only some senders are told.
func TestAnswersAreLimited(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.cuts = true
		r.apply(k.tun(tunnel{}, backend(1)))
		in := k.from(1000, "ACK").long(1481).bytes()
		packets := make([][]byte, 6000)
		for i := range packets {
			packets[i] = in
		}
		before := r.packets("TOO_BIG")
		r.burst(packets)
		told, untold := r.packets("TOO_BIG")-before, r.packets("TOO_BIG_UNTOLD")
		if told < 1000 || untold == 0 || told+untold != 6000 {
			t.Errorf("%s: of 6000 senders %d were told and %d not, want 1000 on each CPU at least, and not all", k, told, untold)
		}
		r.allow()
		if got := r.send(in); got.verdict != "TOO_BIG" {
			t.Errorf("%s: %s, want TOO_BIG", k, got.verdict)
		}
		r.leave()
	}
}

// Under nat a backend is told what fits on the client's side, in the client's name.
func TestBackendsAreToldWhatFitsUnderNAT(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.cuts = true
		r.apply(k.nat(backend(1)))
		eth0 := r.ifindex
		r.ifindex = r.eth1 // the client is behind eth1, whose MTU is small
		ok(t, r.ns.Do(func() error {
			l, err := netlink.LinkByName("eth1")
			if err != nil {
				return err
			}
			return netlink.LinkSetMTU(l, 1400)
		}))
		r.follow()
		r.send(k.from(1000, "SYN").via(clientMAC, otherMAC).bytes())
		r.ifindex = eth0
		if got := r.send(k.reply(1, 1000, "ACK").long(1400).bytes()); got.action != xdpRedirect || got.verdict != "REPLY" {
			t.Errorf("%s: 1400 bytes: action %d, %s, want REPLY", k, got.action, got.verdict)
		}
		in := k.reply(1, 1000, "ACK").long(1401).bytes()
		got := r.send(in)
		if want := k.tooBig(in, 1400, k.client(), k.of(backendAddr(1))); got.verdict != "TOO_BIG" || !bytes.Equal(got.out, want) {
			t.Errorf("%s: 1401 bytes: action %d, %s\n got %x\nwant %x", k, got.action, got.verdict, got.out, want)
		}
		r.leave()
	}
}

// What the kernel learns of a route counts, and is followed while the plane runs.
func TestMTUOfTheRouteIsFollowed(t *testing.T) {
	for _, by := range tunnels {
		k := kind{false, lb.TCP}
		r := newRig(t)
		r.cuts = true
		r.apply(k.tun(by, backend(1)))
		to := kind{six: by.six}.of(backendAddr(1))
		ok(t, r.ns.Do(func() error {
			return netlink.RouteAdd(&netlink.Route{
				LinkIndex: r.ifindex, MTU: 1400, Dst: &net.IPNet{IP: to.AsSlice(), Mask: net.CIDRMask(to.BitLen(), to.BitLen())},
			})
		}))
		in := k.from(1000, "ACK").long(1400 - by.overhead() + 1).bytes()
		if got := r.send(in); got.verdict != "ADOPTED" {
			t.Errorf("%s: before it is known: %s", by, got.verdict)
		}
		r.follow()
		got := r.send(in)
		if want := k.tooBig(in, 1400-by.overhead(), vip.Addr(), client); got.verdict != "TOO_BIG" || !bytes.Equal(got.out, want) {
			t.Errorf("%s: action %d, %s\n got %x\nwant %x", by, got.action, got.verdict, got.out, want)
		}
		r.leave()
	}
}

// No IPv6 sender goes below 1280 bytes, so a way without room for that is none.
func TestTunnelsThatIPv6DoesNotFitInAreAnError(t *testing.T) {
	r := newRig(t)
	r.cuts = true
	ok(t, r.ns.Do(func() error {
		l, err := netlink.LinkByName("eth1")
		if err != nil {
			return err
		}
		return netlink.LinkSetMTU(l, 1300)
	}))
	far := with(backend(101), func(b *lb.Backend) { b.Addr = netip.AddrPortFrom(farAddr, 80) })
	for by, fits := range map[tunnel]bool{{false, 0}: true, {true, 0}: false, {false, testGUEPort}: false, {true, testGUEPort}: false} {
		err := r.Apply(t.Context(), kind{true, lb.TCP}.tun(by, far))
		if (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "1280") {
			t.Errorf("%s: error %v, want one only if IPv6 does not fit", by, err)
		}
		if err := r.Apply(t.Context(), kind{false, lb.TCP}.tun(by, far)); err != nil {
			t.Errorf("%s: IPv4 inside: %v", by, err)
		}
	}
}
