package l4

import (
	"net/netip"
	"slices"
	"testing"

	"lbctl/internal/lb"
)

// join opens the connection by a cookie: the client's numbers begin with 1, the
// backend's with theirs. It returns the cookie.
func (x *spliced) join(t testing.TB, theirs uint32, scale byte) uint32 {
	t.Helper()
	k := x.kind
	cookie := x.challenge(t, k.from(1000, "SYN").numbered(1, 0, 1, linuxSYN(1460, 7)...))
	ack := k.from(1000, "ACK").numbered(2, cookie+1, 9).bytes()
	x.local = netip.AddrPort{}
	if out := x.rig.expect("ACK", ack, "COOKIE_VALID", nil).out; x.full {
		x.local = k.senderOf(out)
	}
	x.rig.expect("SYN-ACK", x.reply("SYN", "ACK").numbered(theirs, 2, 9, agreed(1460, true, int(scale))...).bytes(), "REPLY", nil)
	x.rig.expect("the answer", ack, "KNOWN_FLOW", nil)
	return cookie
}

// A connection that began with a cookie goes on at a standby as it is.
func TestJoinedFlowsGoOnAtAStandby(t *testing.T) {
	const theirs = 0x80000000
	for i, k := range slices.Concat(streams, streams) {
		s, x := k.nat(backend(1)), spliced{kind: k, full: i >= len(streams)}
		if x.full {
			s = k.toldFullNAT(backend(1))
		}
		s.Services[0].L4.SYNCookies = lb.SYNCookiesAlways
		active, standby := pairOf(t, s)
		active.cuts, standby.cuts = true, true
		ok(t, standby.ns.Do(func() error { standby.neighbour(standby.ifindex, k.client(), clientMAC); return nil }))
		ok(t, active.Tell(opened...))
		x.rig = active
		cookie := x.join(t, theirs, 4)
		told := active.news()
		if len(told) != 1 || told[0].Delta != cookie-theirs || told[0].Shift != 4-7 || told[0].Peer != x.local {
			t.Fatalf("%s: told %+v, want a difference of %#x, a shift of -3 and the local end %s", k, told, cookie-theirs, x.local)
		}
		standby.adopt(Adopted{Taken: 1}, told...)
		x.rig = standby
		standby.expect("a reply", x.reply("ACK").numbered(theirs+100, 2, 800).bytes(), "REPLY",
			x.back(x.reply("ACK").numbered(cookie+100, 2, 100)))
		standby.expect("a request", k.from(1000, "ACK").numbered(2, cookie+100, 5).bytes(), "KNOWN_FLOW",
			x.to(k.from(1000, "ACK").numbered(2, theirs+100, 5)))
		ok(t, standby.recount())
		active.leave()
		standby.leave()
	}
}

// Errors about packets of such a connection quote the numbers that their senders know.
func TestErrorsAboutJoinedFlows(t *testing.T) {
	const theirs = 0x12345678
	for i, k := range slices.Concat(streams, streams) {
		x := &spliced{kind: k, rig: newRig(t), full: i >= len(streams)}
		s := k.nat(backend(1))
		if x.full {
			s = k.toldFullNAT(backend(1))
		}
		s.Services[0].L4.SYNCookies = lb.SYNCookiesAlways
		x.cuts = true
		x.apply(s)
		cookie := x.join(t, theirs, 7)
		for _, e := range icmpErrors[k.six] {
			for _, short := range []bool{false, true} {
				x.errorAboutReply(e.typ, e.code, e.rest, short, cookie, theirs)
				x.errorAboutRequest(e.typ, e.code, e.rest, short, cookie, theirs)
			}
		}
		x.leave()
	}
}

// errorAboutReply goes to the backend, whose data did not get to the client.
func (x *spliced) errorAboutReply(typ, code uint8, rest uint32, short bool, cookie, theirs uint32) {
	x.Helper()
	data := func(s *segment) { s.payload = []byte("what the backend has sent") }
	m := x.message(typ, code, rest, quoted(x.back(x.reply("ACK").numbered(cookie+50, 2, 8).set(data)), short))
	in := m.bytes()
	m.quote = quoted(x.reply("ACK").numbered(theirs+50, 2, 8).set(data).ttl(63).bytes(), short)
	m.dst, m.from, m.to, m.ttl = x.of(backendAddr(1)), portMAC, backendMAC(1), 63
	if x.full {
		m.src = x.local.Addr()
	}
	x.rig.expect("an error about a reply", in, "ERROR_TO_BACKEND", m.bytes())
}

// errorAboutRequest goes to the client, whose data did not get to the backend.
func (x *spliced) errorAboutRequest(typ, code uint8, rest uint32, short bool, cookie, theirs uint32) {
	x.Helper()
	data := func(s *segment) { s.payload = []byte("what the client has sent") }
	m := x.message(typ, code, rest, quoted(x.to(x.from(1000, "ACK").numbered(50, theirs+7, 8).set(data)), short))
	m.src, m.dst, m.from = x.of(backendAddr(1)), x.client(), backendMAC(1)
	if x.full {
		m.dst = x.local.Addr()
	}
	in := m.bytes()
	m.quote = quoted(x.from(1000, "ACK").numbered(50, cookie+7, 8).set(data).ttl(63).bytes(), short)
	m.src, m.dst, m.from, m.to, m.ttl = x.vip().Addr(), x.client(), portMAC, clientMAC, 63
	x.rig.expect("an error about a request", in, "ERROR_TO_CLIENT", m.bytes())
}
