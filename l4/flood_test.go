package l4

import (
	"testing"
	"time"

	"lbctl/internal/lb"
)

// Of each client a second's worth of SYNs is taken at once, and then as many as the
// limit says; other clients and services have their own.
func TestSYNLimit(t *testing.T) {
	const limit = 3
	r := newRig(t)
	s := defended(lb.L4Options{SYNLimit: limit}, backend(1))
	s.Services = append(s.Services, s.Services[0])
	s.Services[2].Name, s.Services[2].Forward, s.Services[2].VIP.Addr = "dr", lb.DirectRouting, vipAt(81)
	s.Services[2].Backends = []lb.Backend{with(backend(1), func(b *lb.Backend) { b.ID, b.Addr = 99, backendAt(1, 81) })}
	r.apply(s)
	port := 1000
	taken := func(at *segment) (n int) {
		for range 2 * limit {
			port++
			at.tcp.SrcPort++
			switch got := r.send(at.bytes()); got.verdict {
			case "NEW_FLOW":
				n++
			case "SYN_LIMITED":
				if got.action != xdpDrop {
					t.Errorf("action %d", got.action)
				}
			default:
				t.Fatal(got.verdict)
			}
		}
		return n
	}
	four, six := streams[0].from(1000, "SYN"), streams[1].from(1000, "SYN")
	beside := streams[1].from(2000, "SYN").source(streams[1].of(backendAddr(9))) // of the same /64
	dr := from(3000, "SYN").set(func(s *segment) { s.tcp.DstPort = 81 })
	for _, row := range []struct {
		name string
		at   *segment
		want int
	}{
		{"IPv4", four, limit},
		{"IPv6", six, limit},
		{"the same /64", beside, 0},
		{"another client", streams[0].from(1, "SYN").source(backendAddr(9)), limit},
		{"another service", dr, limit},
		{"IPv4 once more", four, 0},
	} {
		if got := taken(row.at); got != row.want {
			t.Errorf("%s: %d SYNs were taken, want %d", row.name, got, row.want)
		}
	}
	r.expect("a known flow", from(1001, "ACK").bytes(), "KNOWN_FLOW", nil)
	for _, row := range []struct {
		after time.Duration
		want  int
	}{{340 * time.Millisecond, 1}, {680 * time.Millisecond, 2}, {time.Hour, limit}} {
		r.age(row.after)
		if got := taken(four); got != row.want {
			t.Errorf("after another %s: %d SYNs were taken, want %d", row.after, got, row.want)
		}
	}
	s.Revision++
	s.Services[0].L4.SYNLimit = 2 // no client is worse off for what it did under another limit
	r.apply(s)
	if got := taken(streams[0].from(5000, "SYN")); got > 2 {
		t.Errorf("under a lower limit %d SYNs were taken", got)
	}
}

// A flood is more SYNs in a second than the service's threshold that nothing came of,
// and it is over after ten seconds with half of that.
func TestFloodBeginsAndEnds(t *testing.T) {
	const flood = 20
	r := newRig(t)
	r.cuts = true
	r.apply(defended(lb.L4Options{SYNCookies: lb.SYNCookiesAuto, SYNFlood: flood}, backend(1)))
	k := streams[0]
	port := 0
	next := func(n int, want string) {
		t.Helper()
		for i := range n {
			port++
			if got := r.send(k.from(port, "SYN").bytes()); got.verdict != want {
				t.Fatalf("SYN %d of %d: %s, want %s", i+1, n, got.verdict, want)
			}
		}
	}
	connect := func(n int) {
		t.Helper()
		for range n {
			next(1, "NEW_FLOW")
			r.expect("SYN-ACK", k.reply(1, port, "SYN", "ACK").bytes(), "REPLY", nil)
			r.expect("ACK", k.from(port, "ACK").bytes(), "KNOWN_FLOW", nil)
		}
	}
	second := time.Second + 10*time.Millisecond
	connect(5 * flood) // however many connect, it is none
	next(flood, "NEW_FLOW")
	r.age(second)
	next(flood, "NEW_FLOW")
	next(3, "COOKIE_SENT") // one too many
	for range 2 * calm {   // half as many go on
		r.age(second)
		next(flood/2+1, "COOKIE_SENT")
	}
	for range calm - 1 { // no more than half
		r.age(second)
		next(flood/2, "COOKIE_SENT")
	}
	r.age(second)
	next(flood, "NEW_FLOW")
	next(1, "COOKIE_SENT")
	ok(t, r.recount())
}

// A backend whose replies take another way cannot be spoken for.
func TestDefenceIsRefusedWhereItCannotWork(t *testing.T) {
	for _, row := range []struct {
		forward lb.Forward
		proto   lb.Protocol
		options lb.L4Options
		fine    bool
	}{
		{lb.NAT, lb.TCP, lb.L4Options{SYNCookies: lb.SYNCookiesAuto, SYNLimit: 1}, true},
		{lb.DirectRouting, lb.TCP, lb.L4Options{SYNLimit: 1}, true},
		{lb.Tunnel, lb.TCP, lb.L4Options{SYNLimit: 1}, true},
		{lb.DirectRouting, lb.TCP, lb.L4Options{SYNCookies: lb.SYNCookiesAlways}, false},
		{lb.Tunnel, lb.TCP, lb.L4Options{SYNCookies: lb.SYNCookiesAuto}, false},
		{lb.NAT, lb.UDP, lb.L4Options{SYNCookies: lb.SYNCookiesAuto}, false},
		{lb.NAT, lb.UDP, lb.L4Options{SYNLimit: 1}, false},
		{lb.NAT, lb.TCP, lb.L4Options{SYNCookies: "sometimes"}, false},
	} {
		v := snapshot(lb.RoundRobin, backend(1)).Services[0]
		v.Forward, v.VIP.Proto, v.L4 = row.forward, row.proto, row.options
		if err := Validate(v); (err == nil) != row.fine {
			t.Errorf("%+v: %v", row, err)
		}
	}
}
