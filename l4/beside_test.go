package l4

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// pairOf are two balancers beside each other with the same snapshot; the second
// has its own slots and IDs.
func pairOf(t *testing.T, s lb.Snapshot) (active, standby *rig) {
	t.Helper()
	active, standby = newRig(t), newRig(t)
	active.apply(s)
	s.Services = slices.Clone(s.Services)
	s.Services[0].Backends = slices.Clone(s.Services[0].Backends)
	slices.Reverse(s.Services[0].Backends)
	for i := range s.Services[0].Backends {
		s.Services[0].Backends[i].ID += 1000
	}
	standby.apply(s)
	return active, standby
}

func (r *rig) news() (flows []lb.ToldFlow) {
	r.Helper()
	lost, err := r.News(func(f lb.ToldFlow) { flows = append(flows, f) })
	ok(r, err)
	if lost != 0 {
		r.Errorf("%d news are lost", lost)
	}
	return flows
}

func (r *rig) adopt(want Adopted, flows ...lb.ToldFlow) {
	r.Helper()
	got, err := r.Adopt(flows)
	ok(r, err)
	if got != want {
		r.Errorf("adopted %+v, want %+v", got, want)
	}
}

var opened = []lb.FlowState{lb.FlowEstablished, lb.FlowFinWait, lb.FlowCloseWait, lb.FlowTimeWait, lb.FlowClosed, lb.FlowDatagrams}

// What the active balancer has chosen, its standby goes on with, and its loads
// are right before a packet has come.
func TestAStandbyGoesOnWithWhatItWasTold(t *testing.T) {
	for _, k := range kinds {
		for _, nat := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s nat %t", k, nat), func(t *testing.T) { goOnBeside(t, k, nat) })
		}
	}
}

func goOnBeside(t *testing.T, k kind, nat bool) {
	const n = 30
	s := k.snapshot(lb.RoundRobin, backends(3)...)
	if nat {
		s = k.nat(backends(3)...)
	}
	active, standby := pairOf(t, s)
	ok(t, standby.ns.Do(func() error { standby.neighbour(standby.ifindex, k.client(), clientMAC); return nil }))
	ok(t, active.Tell(opened...))
	var packets [][]byte
	for port := 1; port <= n; port++ {
		active.send(k.from(port, "SYN").bytes())
	}
	if told := active.news(); k.proto == lb.TCP && len(told) != 0 {
		t.Errorf("%d flows are told of that are not established", len(told))
	} else if k.proto == lb.UDP {
		standby.adopt(Adopted{Taken: n}, told...)
	}
	for port := 1; port <= n; port++ {
		packets = append(packets, k.from(port, "ACK").bytes())
	}
	home := active.burst(packets)
	if k.proto == lb.TCP {
		standby.adopt(Adopted{Taken: n}, active.news()...)
	}
	a, b := active.service("web").Counters, standby.service("web").Counters
	if b.Active != a.Active || b.Inactive != a.Inactive || b.Active+b.Inactive != n {
		t.Errorf("the standby has %d active and %d inactive, want %d and %d", b.Active, b.Inactive, a.Active, a.Inactive)
	}
	if nat {
		for port := 1; port <= n; port++ {
			if got := standby.send(k.reply(home[port-1], port, "ACK").bytes()); got.verdict != "REPLY" {
				t.Fatalf("a reply before any request: %s, want REPLY", got.verdict)
			}
		}
	}
	for port, at := range standby.burst(packets) {
		if at != home[port] {
			t.Fatalf("port %d goes to %d, want %d", port+1, at, home[port])
		}
	}
	if known := standby.packets("KNOWN_FLOW"); known != n {
		t.Errorf("%d of %d flows are known", known, n)
	}
}

// A client sticks on the standby to the backend that the active one has chosen,
// for as long after its last connection, and no longer because that goes on.
func TestClientsStickOnAStandbyToo(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) { stickBeside(t, k) })
	}
}

func stickBeside(t *testing.T, k kind) {
	active, standby := pairOf(t, k.persistent(lb.Persistence{Timeout: 30 * time.Second}, backends(3)...))
	ok(t, active.Tell(opened...))
	connect := func(r *rig, port int) lb.BackendID { return r.backendOf(k.from(port, "SYN").bytes()) }
	follow := func(port int) {
		t.Helper()
		active.send(k.from(port, "ACK").bytes())
		standby.adopt(Adopted{Taken: 1}, active.news()...)
	}
	left := func() (d time.Duration) {
		for f, err := range standby.Plane.Flows() {
			if ok(t, err); f.Sticky {
				d = f.Expires.Round(10 * time.Second)
			}
		}
		return d
	}
	home := connect(active, 1)
	follow(1)
	if sticky, d := standby.service("web").Counters.Sticky, left(); sticky != 1 || d != 30*time.Second {
		t.Errorf("%d clients stick, for %s, want one for 30s", sticky, d)
	}
	active.age(20 * time.Second)
	standby.age(20 * time.Second)
	ok(t, active.Walk(time.Hour, func(f lb.ToldFlow) { standby.adopt(Adopted{Taken: 1}, f) }))
	if d := left(); d != 10*time.Second {
		t.Errorf("told again of the same connection, the client sticks for %s, want 10s", d)
	}
	connect(active, 2)
	follow(2)
	if d := left(); d != 30*time.Second {
		t.Errorf("after another connection the client sticks for %s, want 30s", d)
	}
	for port := 3; port < 9; port++ {
		if got := connect(standby, port); got != home {
			t.Errorf("after the failover connection %d goes to backend %d, want %d", port, got, home)
		}
	}
	ok(t, standby.recount())
}

func TestAStandbyFollowsAFlowToItsEnd(t *testing.T) {
	k := kind{false, lb.TCP}
	active, standby := pairOf(t, k.snapshot(lb.RoundRobin, backends(2)...))
	ok(t, active.Tell(append(opened, lb.FlowSynReceived)...))
	check := func(when string, want ...lb.FlowState) {
		t.Helper()
		flows := active.news()
		var got []lb.FlowState
		for _, f := range flows {
			got = append(got, f.State)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: news of %v, want %v", when, got, want)
		}
		standby.adopt(Adopted{Taken: len(want)}, flows...)
		a, b := active.service("web").Counters, standby.service("web").Counters
		if a.Active != b.Active || a.Inactive != b.Inactive {
			t.Errorf("%s: %+v, the standby has %+v", when, a, b)
		}
	}
	active.send(k.from(1, "SYN").bytes())
	check("SYN", lb.FlowSynReceived)
	active.send(k.from(1, "ACK").bytes())
	check("ACK", lb.FlowEstablished)
	active.send(k.from(1, "ACK").bytes())
	check("more", []lb.FlowState{}...)
	active.send(k.from(1, "FIN", "ACK").bytes())
	check("FIN", lb.FlowFinWait)
	active.send(k.from(1, "RST").bytes())
	check("RST", lb.FlowClosed)
	standby.age(closedTimeout + time.Second)
	standby.sweep()
	if n := standby.entries(); n != 0 {
		t.Errorf("%d entries are left of a flow that is over", n)
	}
}

// Whoever has seen the later packet is believed.
func TestWhatIsToldLateChangesNothing(t *testing.T) {
	k := kind{false, lb.TCP}
	active, standby := pairOf(t, k.snapshot(lb.RoundRobin, backends(2)...))
	ok(t, active.Tell(opened...))
	active.send(k.from(1, "ACK").bytes())
	told := active.news()
	told[0].Left -= 5 * time.Second
	standby.send(k.from(1, "ACK").bytes())
	standby.send(k.from(1, "FIN", "ACK").bytes())
	standby.adopt(Adopted{Taken: 1}, told...)
	if c := standby.service("web").Counters; c.Active != 0 || c.Inactive != 1 {
		t.Errorf("%d active, %d inactive: an old word was believed", c.Active, c.Inactive)
	}
}

// A flow that the other balancer has moved leaves its former backend here, too,
// with its replies under NAT.
func TestAFlowThatMovedThereMovesHere(t *testing.T) {
	k := kind{false, lb.TCP}
	_, standby := pairOf(t, k.nat(backends(2)...))
	ok(t, standby.ns.Do(func() error { standby.neighbour(standby.ifindex, k.client(), clientMAC); return nil }))
	to := func(i int) lb.ToldFlow {
		return lb.ToldFlow{
			Proto: lb.TCP, Client: netip.AddrPortFrom(k.client(), 7), VIP: vip, Service: lb.VIP{Addr: vip, Proto: lb.TCP},
			Backend: netip.AddrPortFrom(backendAddr(i), natPort), Forward: lb.NAT, State: lb.FlowEstablished, Left: 900 * time.Second,
		}
	}
	for _, i := range []int{1, 2} {
		standby.adopt(Adopted{Taken: 1}, to(i))
		for _, b := range standby.service("web").Backends {
			want := uint64(0)
			if b.Name == fmt.Sprintf("s%d", i) {
				want = 1
			}
			if b.Counters.Active != want {
				t.Errorf("%s has %d flows once it is %d's, want %d", b.Name, b.Counters.Active, i, want)
			}
		}
	}
	if got := standby.send(k.reply(2, 7, "ACK").bytes()); got.verdict != "REPLY" {
		t.Errorf("a reply of the new backend: %s", got.verdict)
	}
}

func TestFlowsOfUnknownBackendsAreLeftOut(t *testing.T) {
	k := kind{false, lb.TCP}
	active, standby := pairOf(t, k.snapshot(lb.RoundRobin, backends(2)...))
	ok(t, active.Tell(opened...))
	active.send(k.from(1, "ACK").bytes())
	told := active.news()[0]
	for _, change := range []func(*lb.ToldFlow){
		func(f *lb.ToldFlow) { f.Backend = netip.MustParseAddrPort("198.18.4.99:80") },
		func(f *lb.ToldFlow) { f.Service.Addr = netip.MustParseAddrPort("198.18.3.99:80") },
		func(f *lb.ToldFlow) { f.Forward = lb.NAT },
	} {
		f := told
		change(&f)
		standby.adopt(Adopted{Unknown: 1}, f)
	}
	if n := standby.entries(); n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestAWalkTellsOfWhatIsThere(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			const n = 50
			active, standby := pairOf(t, k.snapshot(lb.RoundRobin, backends(3)...))
			for port := 1; port <= n; port++ {
				active.send(k.from(port, "ACK").bytes())
			}
			ok(t, active.Tell(opened...))
			var flows []lb.ToldFlow
			walk := func(within time.Duration) int {
				flows = nil
				ok(t, active.Walk(within, func(f lb.ToldFlow) { flows = append(flows, f) }))
				return len(flows)
			}
			active.age(10 * time.Second)
			if got := walk(5 * time.Second); got != 0 {
				t.Errorf("%d flows had a packet within 5 s, want none", got)
			}
			if got := walk(time.Hour); got != n {
				t.Errorf("%d flows, want %d", got, n)
			}
			standby.adopt(Adopted{Taken: n}, flows...)
			c := standby.service("web").Counters
			if c.Active+c.Inactive != n {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestAFullTableRefusesToAdopt(t *testing.T) {
	k := kind{false, lb.TCP}
	active, standby := pairOf(t, k.snapshot(lb.RoundRobin, backends(2)...))
	standby.options.MaxFlows = 64
	standby.empty()
	standby.apply(k.snapshot(lb.RoundRobin, backends(2)...))
	ok(t, active.Tell(opened...))
	for port := 1; port <= 500; port++ {
		active.send(k.from(port, "ACK").bytes())
	}
	got, err := standby.Adopt(active.news())
	ok(t, err)
	if got.Refused == 0 || got.Taken+got.Refused != 500 || standby.entries() != got.Taken || int(standby.service("web").Counters.Active) != got.Taken {
		t.Errorf("%+v in %d entries, %+v", got, standby.entries(), standby.service("web").Counters)
	}
}

// Nothing is told until somebody asks, and what does not fit is counted.
func TestNewsThatNobodyReadsAreCounted(t *testing.T) {
	k := kind{false, lb.TCP}
	r := newRig(t)
	r.apply(k.snapshot(lb.RoundRobin, backends(2)...))
	r.send(k.from(1, "ACK").bytes())
	if got := r.news(); len(got) != 0 {
		t.Errorf("news of %v that nobody asked for", got)
	}
	ok(t, r.Tell(opened...))
	const n = 25000
	var packets [][]byte
	for port := 1; port <= n; port++ {
		packets = append(packets, k.from(port, "ACK").bytes(), k.from(port, "FIN", "ACK").bytes())
	}
	r.burst(packets)
	told := 0
	lost, err := r.News(func(lb.ToldFlow) { told++ })
	ok(t, err)
	// The first flow was there before.
	if lost == 0 || told == 0 || told+int(lost) != 2*n-1 {
		t.Errorf("%d changes told, %d lost, of %d", told, lost, 2*n-1)
	}
	if again := r.fresh(); again != 0 {
		t.Errorf("%d changes are told twice", again)
	}
}

// fresh is how many changes there are to tell.
func (r *rig) fresh() (n int) {
	r.Helper()
	_, err := r.News(func(lb.ToldFlow) { n++ })
	ok(r, err)
	return n
}
