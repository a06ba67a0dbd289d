package l4

import (
	"net/netip"
	"time"

	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

var (
	next    = flowFrom(clientPort+1, "SYN") // another flow's first
	closing = flow("FIN", "ACK")
	rst     = flow("RST")
	pushing = flow("ACK", "PSH")
)

var deliveries = []situation{
	{name: "the first packet of a flow", in: first, verdict: "NEW_FLOW", out: shown(first.to(1))},
	{name: "the first packet of the next flow", before: []event{comes(first)}, in: next, verdict: "NEW_FLOW", out: shown(next.to(2))},
	{name: "to a backend behind another interface", before: []event{alone, farAway}, in: first, verdict: "NEW_FLOW", out: shown(delivered{first, first.damaged(), far}), redirect: true},
	{name: "a reply", of: natted, before: []event{comes(first)}, in: reply(1, "SYN", "ACK"), verdict: "REPLY", out: answer(1, "SYN", "ACK"), vary: 300},
}

var begun = []situation{
	{name: "a later packet of a flow", before: []event{comes(first), comes(next)}, in: pushing, verdict: "KNOWN_FLOW", out: pushing.to(1), vary: 300},
	{name: "a later packet of the other flow", before: []event{comes(first), comes(next)}, in: flowFrom(clientPort+1, "ACK"), verdict: "KNOWN_FLOW", out: flowFrom(clientPort+1, "ACK").to(2)},
	{name: "a hop count of 2", before: []event{comes(first)}, in: later.with(hops(2)), verdict: "KNOWN_FLOW", out: later.with(hops(2)).to(1)},
	{name: "the highest hop count", before: []event{comes(first)}, in: later.with(hops(255)), verdict: "KNOWN_FLOW", out: later.with(hops(255)).to(1)},
	{name: "bytes behind the packet", before: []event{comes(first)}, in: pushing.damaged(behind(3)), verdict: "KNOWN_FLOW", out: pushing.damaged(behind(3)).to(1)},
	{name: "TCP options", of: tcp, in: first.with(options), verdict: "NEW_FLOW", out: first.with(options).to(1)},
	{name: "a SYN sent again", of: tcp, before: []event{comes(first)}, in: first, verdict: "KNOWN_FLOW", out: first.to(1)},
	{name: "a SYN amid a connection", of: tcp, before: []event{comes(first), comes(later)}, in: first, verdict: "KNOWN_FLOW", out: first.to(1)},
	{name: "a SYN after a FIN", of: tcp, before: []event{comes(first), comes(closing)}, in: first, verdict: "NEW_FLOW", out: first.to(2)},
	{name: "a SYN after a RST", of: tcp, before: []event{comes(first), comes(later), comes(rst)}, in: first, verdict: "NEW_FLOW", out: first.to(2)},
	{name: "a FIN", of: tcp, before: []event{comes(first), comes(later)}, in: closing, verdict: "KNOWN_FLOW", out: closing.to(1)},
	{name: "a RST", of: tcp, before: []event{comes(first), comes(later)}, in: rst, verdict: "KNOWN_FLOW", out: rst.to(1)},
	{name: "a SYN after a long silence", of: tcp, before: []event{comes(first), idle(longIdle)}, in: first, verdict: "NEW_FLOW", out: first.to(2)},
	{name: "an ACK after a long silence", of: tcp, before: []event{comes(first), comes(later), idle(longIdle)}, in: later, verdict: "KNOWN_FLOW", out: later.to(1)},
	{name: "a datagram after a short silence", of: udp, before: []event{comes(first), idle(time.Minute)}, in: first, verdict: "KNOWN_FLOW", out: first.to(1)},
	{name: "a datagram after a long silence", of: udp, before: []event{comes(first), idle(longIdle)}, in: first, verdict: "NEW_FLOW", out: first.to(2)},
	{name: "an ACK that no flow is known of", of: tcp, before: []event{alone}, in: later, verdict: "ADOPTED", out: later.to(1)},
	{name: "a FIN that no flow is known of", of: tcp, before: []event{alone}, in: closing, verdict: "ADOPTED", out: closing.to(1)},
	{name: "a RST that no flow is known of", of: both(tcp, cells(local).not()), before: []event{alone}, in: rst, verdict: "STRAY_RESET", out: rst.to(1)},
	{name: "a RST that no flow is known of", of: both(tcp, local), before: []event{alone}, in: rst, verdict: "NO_LOCAL_PORT"},
	{name: "UDP source port 0", of: udp, in: flowFrom(0), verdict: "NEW_FLOW", out: flowFrom(0).to(1)},
	{name: "a datagram without a checksum", of: udp, in: hello.damaged(put16(udpChecksum, 0)), verdict: "NEW_FLOW", out: hello.damaged(put16(udpChecksum, 0)).to(1)},
	{name: "a datagram shorter than its packet", of: udp, in: hello.damaged(put16(udpLength, 8)), verdict: "NEW_FLOW", out: hello.damaged(put16(udpLength, 8)).to(1)},
	{name: "a shorter datagram without a checksum", of: udp, in: hello.damaged(put16(udpChecksum, 0), put16(udpLength, 9)), verdict: "NEW_FLOW", out: hello.damaged(put16(udpChecksum, 0), put16(udpLength, 9)).to(1)},

	{name: "a new flow without room to remember it", of: cells(natted).not(), before: []event{alone, fills}, in: first, verdict: "DEGRADED", out: first.to(1)},
	{name: "a new flow without room to remember it", of: natted, before: []event{alone, fills}, in: first, verdict: "NO_ROOM"},
	{name: "a new flow without a local port for it", of: local, before: []event{alone, fewLocals, comes(first)}, in: next, verdict: "NO_LOCAL_PORT"},
	{name: "a known flow while there is no local port left", of: local, before: []event{alone, fewLocals, comes(first), comes(next)}, in: later, verdict: "KNOWN_FLOW", out: later.to(1)},
	{name: "a flow that has given up the only local port", of: both(tcp, local), before: []event{alone, fewLocals, comes(first), comes(closing)}, in: first, verdict: "NEW_FLOW", out: first.to(1)},
	{name: "a known flow while there is no room", before: []event{comes(first), fills}, in: later, verdict: "KNOWN_FLOW", out: later.to(1)},

	{name: "one_packet: the first datagram", of: anew, before: []event{eachAnew}, in: first, verdict: "ONE_PACKET", out: first.to(1)},
	{name: "one_packet: the next datagram", of: anew, before: []event{eachAnew, comes(first)}, in: first, verdict: "ONE_PACKET", out: first.to(2)},

	{name: "quic: a connection ID of s2", of: udp, before: []event{quic}, in: carrying(short(connectionID(2, 4))), verdict: "BY_CONNECTION_ID", out: carrying(short(connectionID(2, 4))).to(2)},
	{name: "quic: a connection ID of s2 in a long header", of: udp, before: []event{quic}, in: carrying(long(connectionID(2, 4))), verdict: "BY_CONNECTION_ID", out: carrying(long(connectionID(2, 4))).to(2)},
	{name: "quic: it goes on", of: udp, before: []event{quic, comes(carrying(short(connectionID(2, 4))))}, in: carrying(short(connectionID(2, 4))), verdict: "KNOWN_FLOW", out: carrying(short(connectionID(2, 4))).to(2)},
	{name: "quic: another connection of the same address and port", of: udp, before: []event{quic, comes(carrying(short(connectionID(1, 4))))}, in: carrying(short(connectionID(2, 4))), verdict: "BY_CONNECTION_ID", out: carrying(short(connectionID(2, 4))).to(2)},
	{name: "quic: a connection ID of nobody", of: udp, before: []event{quic}, in: carrying(short(connectionID(77, 4))), verdict: "NEW_FLOW", out: carrying(short(connectionID(77, 4))).to(1)},
	{name: "quic: a connection ID of a backend that is down", of: udp, before: []event{quic, goes("is down", 2, down)}, in: carrying(short(connectionID(2, 4))), verdict: "NEW_FLOW", out: carrying(short(connectionID(2, 4))).to(1)},
}

var fewLocals = happens("s1 has one local port", oneLocalPort)

var (
	anew     = both(udp, cells(natted).not())
	eachAnew = changes("one_packet", func(v *lb.Service) { v.L4.OnePacket = true })
	quic     = changes("quic", func(v *lb.Service) { v.L4.QUIC = true })
	hello    = carrying([]byte("hello"))
)

func carrying(payload []byte) packet {
	return flow("ACK").with(func(_ *scene, s *segment) { s.payload = payload })
}

func options(_ *scene, s *segment) {
	s.tcp.Options = []layers.TCPOption{
		{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 0xb4}},
		{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2},
		{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)},
		{OptionType: layers.TCPOptionKindNop},
		{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}},
	}
}

// farAway puts s1 behind the other interface.
var farAway = reconfigures("s1 is behind another interface", func(s *lb.Snapshot) {
	for i := range s.Services[0].Backends {
		b := &s.Services[0].Backends[i]
		b.Addr = netip.AddrPortFrom(kind{six: b.Addr.Addr().Is6()}.of(farAddr), b.Addr.Port())
	}
})

var (
	disables = goes("is disabled", 1, disabled)
	fails    = goes("is down", 1, down)
)

var orphaned = []situation{
	{name: "a new flow while a backend drains", before: []event{goes("drains", 1, draining)}, in: first, verdict: "NEW_FLOW", out: first.to(2)},
	{name: "a known flow while its backend drains", before: []event{comes(first), goes("drains", 1, draining)}, in: later, verdict: "KNOWN_FLOW", out: later.to(1)},
	{name: "a flow whose backend is down", before: []event{comes(first), fails}, in: later, verdict: "MOVED_FLOW", out: later.to(2)},
	{name: "a flow whose backend is disabled", before: []event{comes(first), disables}, in: later, verdict: "MOVED_FLOW", out: later.to(2)},
	{name: "a flow whose backend is removed", before: []event{comes(first), goesAway(1)}, in: later, verdict: "MOVED_FLOW", out: later.to(2)},
	{name: "a flow that has moved", before: []event{comes(first), fails, comes(later), goes("is up", 1, func(b *lb.Backend) { b.Health = lb.Up })}, in: later, verdict: "KNOWN_FLOW", out: later.to(2)},
	{name: "a SYN sent again, the backend is down", of: tcp, before: []event{comes(first), fails}, in: first, verdict: "NEW_FLOW", out: first.to(2)},
	{name: "lost: drop, the backend is down", before: []event{drops, comes(first), fails}, in: later, verdict: "LOST_FLOW"},
	{name: "lost: drop, the backend is removed", before: []event{drops, comes(first), goesAway(1)}, in: later, verdict: "LOST_FLOW"},
	{name: "lost: drop, a new flow", before: []event{drops, comes(first), fails}, in: next, verdict: "NEW_FLOW", out: next.to(2)},
	{name: "lost: expire, the backend is down", of: tcp, before: []event{expires, comes(first), fails}, in: later, verdict: "ADOPTED", out: later.to(2)},
	{name: "lost: expire, the backend is down", of: udp, before: []event{expires, comes(first), fails}, in: later, verdict: "NEW_FLOW", out: later.to(2)},
	{name: "lost: expire, it goes on", before: []event{expires, comes(first), fails, comes(later)}, in: later, verdict: "KNOWN_FLOW", out: later.to(2)},
	{name: "lost: reset, the first packet", of: tcp, before: []event{resets, comes(first), comes(later), disables}, in: data, verdict: "RESET_BACKEND", out: cutOff.to(1)},
	{name: "lost: reset, the backend is removed", of: tcp, before: []event{resets, comes(first), comes(later), goesAway(1)}, in: data, verdict: "RESET_BACKEND", out: cutOff.to(1)},
	{name: "lost: reset, a packet that does not fit", of: tcp, before: []event{resets, comes(first), comes(later), disables}, in: tooLong, verdict: "TOO_BIG", out: tooLong.tooBig()},
	{name: "lost: reset, the first packet that fits", of: tcp, before: []event{resets, comes(first), comes(later), disables, comes(tooLong)}, in: data, verdict: "RESET_BACKEND", out: cutOff.to(1)},
	{name: "lost: reset, the next packet", of: tcp, before: []event{resets, comes(first), comes(later), disables, comes(data)}, in: data, verdict: "RESET_CLIENT", out: computed(refused)},
	{name: "lost: reset, a packet after that", of: tcp, before: []event{resets, comes(first), comes(later), disables, comes(data), comes(data)}, in: data, verdict: "RESET_CLIENT", out: computed(refused)},
	{name: "lost: reset, the client's own RST", of: tcp, before: []event{resets, comes(first), comes(later), disables, comes(data)}, in: rst, verdict: "LOST_FLOW"},
	{name: "lost: reset, a new flow", of: tcp, before: []event{resets, comes(first), comes(later), disables}, in: next, verdict: "NEW_FLOW", out: next.to(2)},
}

// data has sequence numbers about to wrap, options and a payload.
var data = pushing.with(func(_ *scene, s *segment) {
	nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop}
	s.tcp.Seq, s.tcp.Ack, s.payload = 0xfffffffe, 0x12345678, []byte("hello")
	s.tcp.Options = []layers.TCPOption{nop, nop, nop, nop}
})

// cutOff is data turned into a RST.
var cutOff = data.with(func(_ *scene, s *segment) { s.tcp.PSH, s.tcp.RST = false, true })

// refused is the RST that answers data; what stood behind the header is padding.
func refused(x *scene) []byte {
	s := x.k.from(clientPort, "RST", "ACK").source(x.k.vip().Addr()).target(x.k.client()).via(portMAC, clientMAC)
	s.tcp.SrcPort, s.tcp.DstPort = layers.TCPPort(vip.Port()), clientPort
	s.tcp.Seq, s.tcp.Ack, s.tcp.Window = 0x12345678, 3, 0
	header := transport.in(x.k) + 20
	return append(s.bytes()[:header], data.bytes(x)[header:]...)
}

var answered = []situation{
	{name: "a RST of the backend", of: both(natted, tcp), before: []event{comes(first)}, in: reply(1, "RST"), verdict: "REPLY", out: answer(1, "RST")},
	{name: "a reply without a checksum", of: both(natted, udp), before: []event{comes(first)}, in: reply(1).damaged(put16(udpChecksum, 0)), verdict: "REPLY", out: computed(func(x *scene) []byte {
		return plainReply(1)(x).untranslated().ttl(63).bytes(func(p []byte) []byte { return put16(udpChecksum, 0)(x, p) })
	})},
	{name: "a reply to a client behind another interface", of: natted, before: []event{happens("client:40000 > vip:80 comes by the other interface", func(x *scene) {
		eth0 := x.ifindex
		x.ifindex = x.eth1
		x.send(first(x).via(clientMAC, otherMAC).bytes())
		x.ifindex = eth0
	})}, in: reply(1, "ACK"), verdict: "REPLY", out: computed(func(x *scene) []byte {
		return plainReply(1, "ACK")(x).untranslated().via(otherMAC, clientMAC).ttl(63).bytes()
	}), redirect: true},
	{name: "a reply of a backend that is down", of: natted, before: []event{comes(first), fails}, in: reply(1, "ACK"), verdict: "STALE_REPLY"},
	{name: "a reply of a backend that is disabled", of: natted, before: []event{comes(first), disables}, in: reply(1, "ACK"), verdict: "STALE_REPLY"},
	{name: "a reply of a backend that the flow has left", of: natted, before: []event{comes(first), fails, comes(later)}, in: reply(1, "ACK"), verdict: "NOT_VIP"},
	{name: "a reply of a backend that the flow has come to", of: natted, before: []event{comes(first), fails, comes(later)}, in: reply(2, "ACK"), verdict: "REPLY", out: answer(2, "ACK")},
	{name: "a reply to another port", of: natted, before: []event{comes(first)}, in: reply(1, "ACK").with(toService(clientPort + 1)), verdict: "NOT_VIP"},
	{name: "a reply of another backend", of: natted, before: []event{comes(first)}, in: reply(2, "ACK"), verdict: "NOT_VIP"},
	{name: "a backend's packet to the balancer itself", of: natted, before: []event{comes(first)}, in: reply(1, "ACK").with(toBalancer), verdict: "NOT_VIP"},
	{name: "a backend's own connection", of: natted, before: []event{comes(first)}, in: reply(1, "SYN").with(toService(443)), verdict: "NOT_VIP"},
	{name: "a backend's packet of flags that none may send", of: both(natted, tcp), before: []event{comes(first)}, in: reply(1, "SYN", "FIN").with(toService(clientPort + 1)), verdict: "NOT_VIP"},
	{name: "a reply at another host's MAC address", of: natted, before: []event{comes(first)}, in: reply(1, "ACK").with(toMAC(clientMAC)), verdict: "NOT_OURS"},
	{name: "a reply with a hop count of 1", of: natted, before: []event{comes(first)}, in: reply(1, "ACK").with(hops(1)), verdict: "NOT_VIP"},
	{name: "a server's packet", of: cells(natted).not(), before: []event{comes(first)}, in: plainReply(1, "ACK"), verdict: "NOT_VIP"},
	{name: "a port that by another service is connected to the same server", of: clashing, before: []event{shares, comes(first)}, in: first.with(toService(sharedPort)), verdict: "NAT_CLASH"},
	{name: "the same once the first is long idle", of: clashing, before: []event{shares, comes(first), idle(longIdle)}, in: first.with(toService(sharedPort)), verdict: "NEW_FLOW", out: first.with(toService(sharedPort)).to(1)},
	{name: "a reply of that service", of: clashing, before: []event{shares, comes(first), idle(longIdle), comes(first.with(toService(sharedPort)))}, in: reply(1, "ACK"), verdict: "REPLY", out: computed(func(x *scene) []byte {
		s := plainReply(1, "ACK")(x).untranslated()
		s.tcp.SrcPort, s.udp.SrcPort = sharedPort, sharedPort
		return s.passed().bytes()
	})},
}

// shares puts another service before backend s1.
var shares = reconfigures("a service at vip:82 has s1, too", func(s *lb.Snapshot) {
	other := s.Services[0]
	other.Name, other.VIP.Addr = "shared", withPort(other.VIP.Addr, sharedPort)
	other.Backends = nil
	for _, b := range s.Services[0].Backends {
		if b.ID == 1 {
			b.ID = 11
			other.Backends = append(other.Backends, b)
		}
	}
	s.Services = append(s.Services, other)
})
