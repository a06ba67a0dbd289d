package l4

import (
	"bytes"
	"encoding/binary"
	"testing"

	"lbctl/internal/lb"
)

// join opens a connection by a cookie: the client's numbers begin with 1, the
// backend's with theirs. It returns the cookie.
func (r *rig) join(t *testing.T, k kind, port int, theirs uint32, scale byte) uint32 {
	t.Helper()
	cookie := r.challenge(t, k.from(port, "SYN").numbered(1, 0, 1, linuxSYN(1460, 7)...))
	r.expect("ACK", k.from(port, "ACK").numbered(2, cookie+1, 9).bytes(), "COOKIE_VALID", nil)
	r.expect("SYN-ACK", k.reply(1, port, "SYN", "ACK").numbered(theirs, 2, 9, agreed(1460, true, int(scale))...).bytes(), "REPLY", nil)
	r.expect("the answer", k.from(port, "ACK").numbered(2, cookie+1, 9).bytes(), "KNOWN_FLOW", nil)
	return cookie
}

// A connection that began with a cookie goes on at a standby as it is.
func TestJoinedFlowsGoOnAtAStandby(t *testing.T) {
	const theirs = 0x80000000
	for _, k := range streams {
		s := k.nat(backend(1))
		s.Services[0].L4.SYNCookies = lb.SYNCookiesAlways
		active, standby := pairOf(t, s)
		active.cuts, standby.cuts = true, true
		ok(t, standby.ns.Do(func() error { standby.neighbour(standby.ifindex, k.client(), clientMAC); return nil }))
		ok(t, active.Tell(opened...))
		cookie := active.join(t, k, 1000, theirs, 4)
		told := active.news()
		if len(told) != 1 || told[0].Delta != cookie-theirs || told[0].Shift != 4-7 {
			t.Fatalf("%s: told %+v, want a difference of %#x and a shift of -3", k, told, cookie-theirs)
		}
		standby.adopt(Adopted{Taken: 1}, told...)
		standby.expect("a reply", k.reply(1, 1000, "ACK").numbered(theirs+100, 2, 800).bytes(), "REPLY",
			k.reply(1, 1000, "ACK").numbered(cookie+100, 2, 100).untranslated().ttl(63).bytes())
		standby.expect("a request", k.from(1000, "ACK").numbered(2, cookie+100, 5).bytes(), "KNOWN_FLOW",
			k.from(1000, "ACK").numbered(2, theirs+100, 5).translated(1).ttl(63).bytes())
		ok(t, standby.recount())
		active.drop()
		standby.drop()
	}
}

// Errors about packets of such a connection quote the numbers that their senders know.
func TestErrorsAboutJoinedFlows(t *testing.T) {
	const theirs = 0x12345678
	k := streams[0]
	r := newRig(t)
	r.cuts = true
	r.apply(defended(lb.L4Options{SYNCookies: lb.SYNCookiesAlways}, backend(1)))
	cookie := r.join(t, k, 1000, theirs, 7)
	// To the backend: its data did not fit on the way to the client.
	data := k.reply(1, 1000, "ACK").numbered(theirs+50, 2, 8).long(600)
	seen := k.reply(1, 1000, "ACK").numbered(cookie+50, 2, 8).long(600).untranslated().ttl(63).bytes()
	got := r.send(k.tooBig(seen, 1400, k.client(), k.vip().Addr()))
	if got.verdict != "ERROR_TO_BACKEND" {
		t.Fatal(got.verdict)
	}
	checkSums(t, got.out[:14+20+8+504])
	quoted := got.out[14+20+8:]
	if seq := binary.BigEndian.Uint32(quoted[20+4:]); seq != theirs+50 {
		t.Errorf("the backend is told of number %#x, want %#x", seq, theirs+50)
	}
	if want := data.ttl(63).bytes()[14:]; !bytes.Equal(quoted[20:36], want[20:36]) || !bytes.Equal(quoted[36:38], want[36:38]) {
		t.Errorf("quoted %x, want %x", quoted[20:40], want[20:40])
	}
}
