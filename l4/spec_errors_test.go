package l4

import (
	"net/netip"
	"slices"

	"github.com/gopacket/gopacket/layers"
)

var (
	fits     = later.long(0)
	tooLong  = later.long(1)
	farLong  = later.with(func(_ *scene, s *segment) { s.long(3400) })
	splits   = tooLong.with(func(_ *scene, s *segment) { s.ip.Flags = 0 })
	replyToo = reply(1, "ACK").with(func(_ *scene, s *segment) { s.long(1501) })
)

var oversized = []situation{
	{name: "what fits to the byte", before: []event{comes(first)}, in: fits, verdict: "KNOWN_FLOW", out: fits.to(1)},
	{name: "one byte more", before: []event{comes(first)}, in: tooLong, verdict: "TOO_BIG", out: tooLong.tooBig()},
	{name: "much more", before: []event{comes(first)}, in: farLong, verdict: "TOO_BIG", out: farLong.tooBig()},
	{name: "one byte more, without a flow", of: tcp, before: []event{alone}, in: tooLong, verdict: "TOO_BIG", out: tooLong.tooBig()},
	{name: "a first datagram, one byte more", of: udp, in: tooLong, verdict: "TOO_BIG", out: tooLong.tooBig()},
	{name: "what has to be told first begins no flow", of: udp, before: []event{comes(tooLong)}, in: fits, verdict: "NEW_FLOW", out: fits.to(2)},
	{name: "what may be fragmented", of: four, before: []event{comes(first)}, in: splits, verdict: "TOO_BIG_NO_DF", out: splits.tooBig()},
	{name: "one byte more, amid a flood", before: []event{comes(first), floods}, in: tooLong, verdict: "TOO_BIG_UNTOLD"},
	{name: "a reply of one byte more", of: natted, before: []event{comes(first)}, in: replyToo, verdict: "TOO_BIG", out: computed(func(x *scene) []byte {
		_, to := replyToo(x).ends()
		return x.k.tooBig(replyToo.bytes(x), 1500, to.Addr(), x.k.of(backendAddr(1)))
	})},
}

var router = netip.MustParseAddr("198.18.2.254") // beside the servers

// errorsAbout is made for all kinds of errors.
var errorsAbout = slices.Concat(toBackends(), toClients(), []situation{
	{name: "a ping to the VIP", in: ping, verdict: "OTHER_PROTOCOL"},
	{name: "a ping to the balancer", in: ping.with(toOurs), verdict: "NOT_VIP"},
	{name: "a redirect", before: []event{comes(first)}, in: redirected, verdict: "OTHER_PROTOCOL"},
	{name: "an error about another port", before: []event{comes(first)}, in: unreachable(clientPort + 1), verdict: "ERROR_UNKNOWN"},
	{name: "an error about what the balancer has sent", before: []event{comes(first)}, in: aboutOurs, verdict: "NOT_VIP"},
	{name: "an error to another than whose packet it is about", before: []event{comes(first)}, in: unreachable(clientPort).with(toOurs), verdict: "NOT_VIP"},
	{name: "an error about another protocol", before: []event{comes(first)}, in: unreachable(clientPort).with(func(_ *scene, m *icmp) {
		m.quote = slices.Clone(m.quote)
		m.quote[map[bool]int{false: 9, true: 6}[m.six]] = 132
	}), verdict: "ERROR_UNKNOWN"},
	{name: "an error at another host's MAC address", before: []event{comes(first)}, in: unreachable(clientPort).with(func(_ *scene, m *icmp) { m.to = backendMAC(9) }), verdict: "NOT_OURS"},
	{name: "an error with a hop count of 1", before: []event{comes(first)}, in: unreachable(clientPort).with(func(_ *scene, m *icmp) { m.ttl = 1 }), verdict: "TTL_EXPIRED"},
	{name: "an error about a flow whose backend is down", before: []event{comes(first), fails}, in: unreachable(clientPort), verdict: "ERROR_UNKNOWN"},
	{name: "an error that quotes 7 bytes behind the IP header", before: []event{comes(first)}, in: unreachable(clientPort).with(func(_ *scene, m *icmp) {
		m.quote = m.quote[:transport.in(m.kind)-14+7]
	}), verdict: "BAD_ERROR"},
	{name: "an error that quotes nothing", before: []event{comes(first)}, in: unreachable(clientPort).with(func(_ *scene, m *icmp) { m.quote = nil }), verdict: "BAD_ERROR"},
	{name: "an error about a request, of a backend that is down", of: natted, before: []event{comes(first), fails}, in: refusedBy, verdict: "STALE_REPLY"},
})

// gotten is a packet to the client's port as the client's router has met it.
func gotten(port int) packet {
	return func(x *scene) *segment {
		s := x.k.reply(1, port, "ACK")
		if x.n > 0 {
			s.varied(x.n)
		}
		return s.untranslated().ttl(62)
	}
}

// ofRouter is a router's error about what backend s1 has sent to the client.
func ofRouter(port int, typ, code uint8, rest uint32, short bool) message {
	return func(x *scene) icmp {
		return x.k.message(typ, code, rest, quoted(gotten(port).bytes(x), short))
	}
}

// unreachable is the plainest of them.
func unreachable(port int) message {
	return func(x *scene) icmp { return ofRouter(port, plainest(x.k), 0, 0, false)(x) }
}

func plainest(k kind) uint8 { return icmpErrors[k.six][0].typ }

var refusedBy = message(func(x *scene) icmp { return ofServer(plainest(x.k), 0, 0, false)(x) })

// toBackends are all kinds of errors about what a backend has sent.
func toBackends() (all []situation) {
	for _, is6 := range []bool{false, true} {
		for _, e := range icmpErrors[is6] {
			for _, short := range []bool{false, true} {
				in := ofRouter(clientPort, e.typ, e.code, e.rest, short)
				all = append(all, situation{
					name: e.name + " about a server's packet, " + quoting(short), of: ofFamily(is6),
					before: []event{comes(first)}, in: in, verdict: "ERROR_TO_BACKEND", vary: 40,
					out: computed(func(x *scene) []byte {
						m := in(x)
						m.quote = quoted(x.by.sent(x, gotten(clientPort)(x), near(1)).bytes(), short)
						return x.by.about(x, m, near(1))
					}),
				})
			}
		}
	}
	return all
}

// ofServer is an error of backend s1 about what the client has sent.
func ofServer(typ, code uint8, rest uint32, short bool) message {
	return func(x *scene) icmp {
		got := x.by.got(x, later(x), near(1)).ttl(62)
		m := x.k.message(typ, code, rest, quoted(got.bytes(), short))
		m.src, m.dst, m.from = x.k.of(backendAddr(1)), got.sender(), backendMAC(1)
		return m
	}
}

// toClients are all kinds of errors about what the client has sent, where they pass here.
func toClients() (all []situation) {
	for _, is6 := range []bool{false, true} {
		for _, e := range icmpErrors[is6] {
			for _, short := range []bool{false, true} {
				for _, whose := range []string{"the server's", "a router's"} {
					in := ofServer(e.typ, e.code, e.rest, short)
					if whose == "a router's" {
						in = in.with(func(x *scene, m *icmp) { m.src = x.k.of(router) })
					}
					all = append(all, situation{
						name: whose + " " + e.name + " about a request, " + quoting(short), of: both(natted, ofFamily(is6)),
						before: []event{comes(first)}, in: in, verdict: "ERROR_TO_CLIENT", vary: 40,
						out: computed(func(x *scene) []byte {
							m := in(x)
							m.quote = quoted(later(x).ttl(62).bytes(), short)
							if whose == "the server's" {
								m.src = x.k.vip().Addr()
							}
							m.dst, m.from, m.to = x.k.client(), portMAC, clientMAC
							m.ttl--
							return m.bytes()
						}),
					})
				}
			}
		}
	}
	return all
}

func quoting(short bool) string {
	if short {
		return "quoting 8 bytes"
	}
	return "quoting it whole"
}

func ofFamily(is6 bool) cells { return func(_ forwarding, k kind) bool { return k.six == is6 } }

var ping = message(func(x *scene) icmp {
	typ := uint8(layers.ICMPv4TypeEchoRequest)
	if x.k.six {
		typ = layers.ICMPv6TypeEchoRequest
	}
	return x.k.message(typ, 0, 1<<16|1, []byte("hello"))
})

var redirected = message(func(x *scene) icmp {
	typ := uint8(layers.ICMPv4TypeRedirect)
	if x.k.six {
		typ = layers.ICMPv6TypeRedirect
	}
	return ofRouter(clientPort, typ, 0, 0, false)(x)
})

func toOurs(x *scene, m *icmp) { m.dst = x.k.of(balancer) }

var aboutOurs = unreachable(clientPort).with(func(x *scene, m *icmp) {
	toOurs(x, m)
	m.quote = quoted(x.k.from(1, "ACK").source(x.k.of(balancer)).bytes(), false)
})
