package l4

import (
	"encoding/binary"
	"time"

	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

// The numbers of a connection that begins with a cookie.
const (
	isn    = 0xfffffff0 // the client's
	theirs = 0x1234     // the backend's
)

// cookied is where replies pass the balancer, so that the numbers of two ends can be translated.
var cookied = both(natted, tcp)

var (
	always      = changes("syn_cookies: always", func(v *lb.Service) { v.L4.SYNCookies = lb.SYNCookiesAlways })
	inFlood     = changes("syn_cookies: auto, syn_flood: 1", func(v *lb.Service) { v.L4.SYNCookies, v.L4.SYNFlood = lb.SYNCookiesAuto, 1 })
	oneASecond  = changes("syn_limit: 1", func(v *lb.Service) { v.L4.SYNLimit = 1 })
	oneAtATime  = changes("syn_cookies: always, syn_limit: 1", func(v *lb.Service) { v.L4.SYNCookies, v.L4.SYNLimit = lb.SYNCookiesAlways, 1 })
	nextACK     = flowFrom(clientPort+1, "ACK")
	asks        = offering(linuxSYN)
	asksBarely  = offering(func(uint16, byte) []layers.TCPOption { return nil })
	asksForMSS  = offering(func(mss uint16, _ byte) []layers.TCPOption { return []layers.TCPOption{mssOption(mss)} })
	shows       = showing(clientPort, 0)
	showsWith   = shows.with(func(_ *scene, s *segment) { s.tcp.PSH, s.payload = true, []byte("hello") })
	probes      = shows.with(func(_ *scene, s *segment) { s.tcp.Seq-- })
	accepts     = reply(1, "SYN", "ACK").with(numbers(theirs, isn+1, 65160, agreedBy(9)))
	turnsDown   = reply(1, "RST", "ACK").with(numbers(0, isn+1, 0, nil))
	turnsOddly  = reply(1, "SYN", "RST").with(numbers(77, 0, 5, nil))
	knowsOther  = reply(1, "ACK").with(numbers(theirs, 77, 1000, nil))
	agrees      = shows.with(func(_ *scene, s *segment) { s.tcp.Seq, s.tcp.Window = isn+1, 502 })
	talking     = reply(1, "ACK", "PSH").with(numbers(theirs+1, isn+1, 1000, nil)).with(hi)
	missing     = agrees.with(func(x *scene, s *segment) { s.tcp.Options = sackOf(x.cookie + 100) })
	established = []event{always, comes(asks), comes(shows), comes(accepts)}
)

func hi(_ *scene, s *segment) { s.payload = []byte("hello") }

// numbers sets what the two ends count by. options may depend on the family.
func numbers(seq, ack uint32, window uint16, options func(x *scene) []layers.TCPOption) func(*scene, *segment) {
	return func(x *scene, s *segment) {
		s.numbered(seq, ack, window)
		if options != nil {
			s.tcp.Options = options(x)
		}
	}
}

// mostMSS is what an interface of 1500 bytes takes.
func (k kind) mostMSS() uint16 {
	if k.six {
		return 1440
	}
	return 1460
}

// agreedBy are all options that the program writes, with that scale.
func agreedBy(scale int) func(x *scene) []layers.TCPOption {
	return func(x *scene) []layers.TCPOption { return agreed(x.k.mostMSS(), true, scale) }
}

func sackOf(from uint32) []layers.TCPOption {
	edges := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, from), from+10)
	return []layers.TCPOption{nop, nop, option(layers.TCPOptionKindSACK, edges...)}
}

// offering is a SYN with the options that its family's MSS and a scale make.
func offering(options func(mss uint16, scale byte) []layers.TCPOption) packet {
	return first.with(func(x *scene, s *segment) { s.numbered(isn, 0, 64240, options(x.k.mostMSS(), 8)...) })
}

// showing is the ACK of the cookie that was sent last, or of a number so much above.
func showing(port int, above uint32) packet {
	return flowFrom(port, "ACK").with(func(x *scene, s *segment) { s.numbered(isn+1, x.cookie+1+above, 502) })
}

// sentCookie is the answer to a SYN: what it says, but for the number, is known before.
func sentCookie(options func(x *scene) []layers.TCPOption) frame {
	return computed(func(x *scene) []byte {
		s := x.k.synAck(clientPort, x.cookie, isn+1)
		if options != nil {
			s.tcp.Options = options(x)
		}
		return padded(s.bytes())
	})
}

// opens is the SYN that the ACK with a cookie becomes. By none but the cookie is
// known what the client's own SYN offered: the MSS and so on are one of a few.
func opens(by packet, window uint16, options func(x *scene) []layers.TCPOption) packet {
	return by.with(func(x *scene, s *segment) {
		s.tcp.ACK, s.tcp.PSH, s.tcp.SYN, s.payload = false, false, true, nil
		s.numbered(isn, 0, window, options(x)...)
	})
}

func leastAgreed(x *scene) []layers.TCPOption {
	return agreed(map[bool]uint16{false: 536, true: 1220}[x.k.six], false, -1)
}

// there is the client's packet in the backend's numbers.
func (p packet) there() packet {
	return p.with(func(x *scene, s *segment) {
		s.tcp.Ack += theirs - x.cookie
		if len(s.tcp.Options) > 0 {
			s.tcp.Options = sackOf(theirs + 100)
		}
	})
}

// toClient is a packet of backend s1 as the client gets it, changed by that.
func toClient(p packet, change func(x *scene, s *segment)) frame {
	return computed(func(x *scene) []byte {
		s := p(x).untranslated().passed()
		change(x, s)
		return padded(s.bytes())
	})
}

// question is the backend's SYN-ACK as the client gets it, which has had one: a byte that it has.
var question = toClient(plainReply(1, "ACK"), func(x *scene, s *segment) {
	s.numbered(x.cookie, isn+1, 65160>>9<<2)
	s.payload = []byte{0}
})

// refusedAs is the RST for a backend that answers as of another connection.
var refusedAs = computed(func(x *scene) []byte {
	in := knowsOther(x)
	s := knowsOther(x)
	s.eth.SrcMAC, s.eth.DstMAC = in.eth.DstMAC, in.eth.SrcMAC
	s.ip.SrcIP, s.ip.DstIP, s.ip6.SrcIP, s.ip6.DstIP = in.ip.DstIP, in.ip.SrcIP, in.ip6.DstIP, in.ip6.SrcIP
	s.tcp.SrcPort, s.tcp.DstPort = in.tcp.DstPort, in.tcp.SrcPort
	s.tcp.RST = true
	return s.numbered(77, theirs, 0).ttl(64).bytes()
})

var guarded = []situation{
	{name: "a SYN beyond the client's limit", of: tcp, before: []event{oneASecond, comes(first)}, in: next, verdict: "SYN_LIMITED"},
	{name: "a SYN sent again, beyond the limit", of: tcp, before: []event{oneASecond, comes(first)}, in: first, verdict: "KNOWN_FLOW", out: first.to(1)},
	{name: "a SYN a while later", of: tcp, before: []event{oneASecond, comes(first), idle(2 * time.Second)}, in: next, verdict: "NEW_FLOW", out: next.to(2)},
	{name: "an ACK beyond the limit", of: tcp, before: []event{alone, oneASecond, comes(first)}, in: nextACK, verdict: "ADOPTED", out: nextACK.to(1)},
	{name: "a SYN beyond the limit, where cookies are sent", of: cookied, before: []event{oneAtATime, idle(2 * time.Second), comes(first)}, in: next, verdict: "SYN_LIMITED"},

	{name: "cookies: a SYN as Linux sends it", of: cookied, before: []event{always}, in: asks, verdict: "COOKIE_SENT", out: sentCookie(agreedBy(7))},
	{name: "cookies: a SYN without options", of: cookied, before: []event{always}, in: asksBarely, verdict: "COOKIE_SENT", out: sentCookie(nil)},
	{name: "cookies: a SYN with an MSS alone", of: cookied, before: []event{always}, in: asksForMSS, verdict: "COOKIE_SENT", out: sentCookie(func(x *scene) []layers.TCPOption {
		return []layers.TCPOption{mssOption(x.k.mostMSS())}
	})},
	{name: "cookies: a SYN, no backend is eligible", of: cookied, before: []event{always, alone, goes("drains", 1, draining)}, in: asks, verdict: "NO_BACKEND"},
	{name: "cookies: a SYN amid a connection", of: cookied, before: []event{comes(first), comes(later), always}, in: asks, verdict: "KNOWN_FLOW", out: asks.to(1)},
	{name: "cookies: a SYN of a connection that is over", of: cookied, before: []event{comes(first), comes(closing), always}, in: asks, verdict: "COOKIE_SENT", out: sentCookie(agreedBy(7))},

	{name: "cookies: the ACK", of: cookied, before: []event{always, comes(asks)}, in: shows, verdict: "COOKIE_VALID", out: opens(shows, 0xffff, agreedBy(8)).to(1)},
	{name: "cookies: an ACK with data", of: cookied, before: []event{always, comes(asks)}, in: showsWith, verdict: "COOKIE_VALID", out: opens(showsWith, 0xffff, agreedBy(8)).to(1)},
	{name: "cookies: the ACK of who offered nothing", of: cookied, before: []event{always, comes(asksBarely)}, in: shows, verdict: "COOKIE_VALID", out: opens(shows, 502, leastAgreed).to(1)},
	{name: "cookies: the next connection's ACK", of: cookied, before: []event{always, comes(asks), comes(shows), comes(asks.with(fromNext))}, in: showing(clientPort+1, 0), verdict: "COOKIE_VALID", out: opens(showing(clientPort+1, 0), 0xffff, agreedBy(8)).to(2)},
	{name: "cookies: the ACK sent again", of: cookied, before: []event{always, comes(asks), comes(shows)}, in: shows, verdict: "COOKIE_AGAIN", out: opens(shows, 0xffff, agreedBy(8)).to(1)},
	{name: "cookies: a probe of the closed window", of: cookied, before: []event{always, comes(asks), comes(shows)}, in: probes, verdict: "COOKIE_AGAIN", out: opens(probes, 0xffff, agreedBy(8)).to(1)},
	{name: "cookies: the ACK sent again, the backend is down", of: cookied, before: []event{always, comes(asks), comes(shows), fails}, in: shows, verdict: "COOKIE_VALID", out: opens(shows, 0xffff, agreedBy(8)).to(2)},
	{name: "cookies: the ACK, without room to remember it", of: cookied, before: []event{always, comes(asks), fills}, in: shows, verdict: "NO_ROOM"},
	{name: "cookies: the ACK of a connection after one that is over", of: cookied, before: []event{comes(first), comes(closing), always, comes(asks)}, in: shows, verdict: "COOKIE_VALID", out: opens(shows, 0xffff, agreedBy(8)).to(2)},

	{name: "cookies: a number that nobody was given", of: cookied, before: []event{always, comes(asks)}, in: showing(clientPort, 32), verdict: "COOKIE_WRONG"},
	{name: "cookies: another client's number", of: cookied, before: []event{always, comes(asks)}, in: showing(clientPort+1, 0), verdict: "COOKIE_WRONG"},
	{name: "cookies: an ACK that no flow is known of", of: cookied, before: []event{always}, in: later, verdict: "COOKIE_WRONG"},
	{name: "cookies: a FIN that no flow is known of", of: cookied, before: []event{always}, in: closing, verdict: "COOKIE_WRONG"},
	{name: "cookies: a RST that no flow is known of", of: both(cookied, local), before: []event{always, alone}, in: rst, verdict: "NO_LOCAL_PORT"},
	{name: "cookies: a RST that no flow is known of", of: both(cookied, cells(local).not()), before: []event{always, alone}, in: rst, verdict: "STRAY_RESET", out: rst.to(1)},
	{name: "cookies: a wrong number before the backend has answered", of: cookied, before: []event{always, comes(asks), comes(shows)}, in: showing(clientPort, 32), verdict: "COOKIE_WRONG"},

	{name: "cookies: the backend accepts", of: cookied, before: []event{always, comes(asks), comes(shows)}, in: accepts, verdict: "REPLY", out: question},
	{name: "cookies: the backend accepts again", of: cookied, before: established, in: accepts, verdict: "REPLY", out: question},
	{name: "cookies: the backend refuses", of: cookied, before: []event{always, comes(asks), comes(shows)}, in: turnsDown, verdict: "REPLY", out: computed(func(x *scene) []byte {
		return plainReply(1, "RST", "ACK")(x).untranslated().passed().numbered(x.cookie+1, isn+1, 0).bytes()
	})},
	{name: "cookies: the backend refuses by SYN and RST", of: cookied, before: []event{always, comes(asks), comes(shows)}, in: turnsOddly, verdict: "REPLY", out: computed(func(x *scene) []byte {
		return plainReply(1, "SYN", "RST")(x).untranslated().passed().numbered(x.cookie+1, 0, 5).bytes()
	})},
	{name: "cookies: the backend ends it by SYN and RST", of: cookied, before: established, in: turnsOddly, verdict: "REPLY", out: computed(func(x *scene) []byte {
		return plainReply(1, "SYN", "RST")(x).untranslated().passed().numbered(x.cookie-theirs+77, 0, 5).bytes()
	})},
	{name: "cookies: the backend knows of another connection", of: cookied, before: []event{always, comes(asks), comes(shows)}, in: knowsOther, verdict: "NO_SYN_ACK", out: refusedAs},
	{name: "cookies: the client agrees", of: cookied, before: established, in: agrees, verdict: "KNOWN_FLOW", out: agrees.there().to(1)},
	{name: "cookies: the backend's data", of: cookied, before: append(established[:4:4], comes(agrees)), in: talking, verdict: "REPLY", out: computed(func(x *scene) []byte {
		s := plainReply(1, "ACK", "PSH")(x).untranslated().passed().numbered(x.cookie+1, isn+1, 1000<<2)
		hi(x, s)
		return s.bytes()
	})},
	{name: "cookies: the client misses some of them", of: cookied, before: append(established[:4:4], comes(agrees)), in: missing, verdict: "KNOWN_FLOW", out: missing.there().to(1)},

	{name: "a flood: a SYN before it", of: cookied, before: []event{inFlood}, in: first, verdict: "NEW_FLOW", out: first.to(1)},
	{name: "a flood: an ACK before it", of: cookied, before: []event{alone, inFlood}, in: later, verdict: "ADOPTED", out: later.to(1)},
	{name: "a flood: one SYN too many", of: cookied, before: []event{inFlood, comes(next)}, in: asks, verdict: "COOKIE_SENT", out: sentCookie(agreedBy(7))},
	{name: "a flood: the ACK", of: cookied, before: []event{inFlood, comes(next), comes(asks)}, in: shows, verdict: "COOKIE_VALID", out: opens(shows, 0xffff, agreedBy(8)).to(2)},
	{name: "a flood: another ACK", of: cookied, before: []event{inFlood, comes(next), comes(asks)}, in: later, verdict: "COOKIE_WRONG"},
	{name: "a flood: another ACK after it", of: cookied, before: []event{alone, inFlood, comes(next), comes(asks), idle(time.Minute)}, in: later, verdict: "ADOPTED", out: later.to(1)},
	{name: "a flood: the ACK after it", of: cookied, before: []event{inFlood, comes(next), comes(asks), idle(time.Minute)}, in: shows, verdict: "COOKIE_VALID", out: opens(shows, 0xffff, agreedBy(8)).to(2)},
}

func fromNext(_ *scene, s *segment) { s.tcp.SrcPort = clientPort + 1 }
