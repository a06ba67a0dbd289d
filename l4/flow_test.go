package l4

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// flows returns what is remembered, by the client's port.
func (r *rig) flows() map[int]xdpFlow {
	r.Helper()
	out := map[int]xdpFlow{}
	r.eachFlow(func(e flowEntry) { out[int(toPort(e.tuple.Sport))] = e.flow })
	return out
}

func (r *rig) eachFlow(visit func(flowEntry)) {
	r.Helper()
	tables, err := r.objects.flowTables()
	ok(r, err)
	defer tables.close()
	ok(r, tables.each(func(e flowEntry) bool { visit(e); return true }))
}

// put writes the flow of an entry back.
func (r *rig) put(e flowEntry) {
	r.Helper()
	if e.six {
		ok(r, r.objects.Flows6.Put(e.number, xdpEntry6{Key: e.tuple, Flow: e.flow}))
		return
	}
	key := xdpTuple4{Src: e.tuple.Src.Word[3], Dst: e.tuple.Dst.Word[3], Sport: e.tuple.Sport, Dport: e.tuple.Dport, Proto: e.tuple.Proto}
	f := e.flow
	ok(r, r.objects.Flows.Put(e.number, xdpEntry4{Key: key, Flow: xdpFlow4{
		Owner: f.Owner, LastSeen: f.LastSeen, Delta: f.Delta, Vport: f.Vport, Pport: f.Pport,
		Ifindex: f.Ifindex, Mac: f.Mac, Joint: f.Joint, Shift: f.Shift, Untold: f.Untold,
		Vip: f.Vip.Word[3], Peer: f.Peer.Word[3],
	}}))
}

// lose makes entries such that no key leads to them. They are in no list of free ones.
func (r *rig) lose(which func(flowEntry) bool) {
	r.Helper()
	lost := map[bool]map[uint32]bool{false: {}, true: {}}
	r.eachFlow(func(e flowEntry) {
		if which(e) {
			lost[e.six][e.number] = true
			e.flow.Owner = 0
			r.put(e)
		}
	})
	mask := r.tagMask()
	for six, table := range map[bool]*ebpf.Map{false: r.objects.ReferenceLines, true: r.objects.ReferenceLines6} {
		lines := make([]xdpReferences, table.MaxEntries())
		ok(r, readArray(table, lines))
		fronts := len(lines) / (1 + backLines)
		for i := range lines {
			for j, reference := range lines[i].Reference {
				if !lost[six][reference&^mask] {
					continue
				}
				lines[i].Reference[j] = 0
				if i >= fronts {
					lines[(i-fronts)%fronts].Version -= oneBehind
				}
			}
		}
		for i, line := range lines {
			ok(r, table.Put(uint32(i), line))
		}
	}
}

// noRoom is added to the indices of first free entries, to fill tables.
const noRoom = 1 << 30

// full takes away the room that the flow tables have left, or gives it back.
func (r *rig) full(yes bool) {
	r.Helper()
	for part := range r.objects.Vacancies.MaxEntries() {
		var v xdpVacancy
		ok(r, r.objects.Vacancies.Lookup(part, &v))
		was := v
		v.First &^= noRoom
		if yes {
			v.First |= noRoom
		}
		if v != was {
			ok(r, r.objects.Vacancies.Put(part, v))
		}
	}
}

// tagMask are the bits of a reference that are not an entry's number.
func (r *rig) tagMask() (mask uint32) {
	r.Helper()
	ok(r, r.objects.spec.Variables[xdpVarTagMask].Get(&mask))
	return mask
}

// entries counts what is in both flow tables, tombstones included.
func (r *rig) entries() (n int) {
	r.Helper()
	r.eachFlow(func(flowEntry) { n++ })
	return n
}

func (r *rig) service(name string) lb.ServiceStats {
	r.Helper()
	stats, err := r.Stats()
	ok(r, err)
	for _, s := range stats.Services {
		if s.Name == name {
			return s
		}
	}
	r.Fatalf("no service %q in the statistics", name)
	return lb.ServiceStats{}
}

// step is one packet of a connection and what must be known after it.
type step struct {
	packet  []byte
	verdict string
	state   xdpFlowState
	gone    bool // no flow is remembered
}

func TestFlowStateFollowsTheClientsPackets(t *testing.T) {
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		t.Run(k.String(), func(t *testing.T) { followStates(t, k) })
	}
}

func followStates(t *testing.T, k kind) {
	const (
		opening, established = xdpFlowStateOPENING, xdpFlowStateESTABLISHED
		finWait, timeWait    = xdpFlowStateFIN_WAIT, xdpFlowStateTIME_WAIT
		closed               = xdpFlowStateCLOSED
	)
	fin, rst := k.from(1, "FIN", "ACK").bytes(), k.from(1, "RST").bytes()
	syn, ack := func(n int) []byte { return k.from(n, "SYN").bytes() }, func(n int) []byte { return k.from(n, "ACK").bytes() }
	rows := []struct {
		name   string
		steps  []step
		active uint64
		conns  uint64
	}{
		{"SYN", []step{{syn(1), "NEW_FLOW", opening, false}}, 1, 1},
		{"SYN retransmitted", []step{{syn(1), "NEW_FLOW", opening, false}, {syn(1), "KNOWN_FLOW", opening, false}}, 1, 1},
		{"handshake", []step{{syn(1), "NEW_FLOW", opening, false}, {ack(1), "KNOWN_FLOW", established, false}}, 1, 1},
		{"FIN", []step{{syn(1), "NEW_FLOW", opening, false}, {ack(1), "KNOWN_FLOW", established, false}, {fin, "KNOWN_FLOW", finWait, false}}, 0, 1},
		{"FIN right after SYN", []step{{syn(1), "NEW_FLOW", opening, false}, {fin, "KNOWN_FLOW", timeWait, false}}, 0, 1},
		{"last ACK after FIN", []step{{ack(1), "ADOPTED", established, false}, {fin, "KNOWN_FLOW", finWait, false}, {ack(1), "KNOWN_FLOW", finWait, false}}, 0, 1},
		{"RST", []step{{ack(1), "ADOPTED", established, false}, {rst, "KNOWN_FLOW", closed, false}}, 0, 1},
		{"RST right after SYN, as a forger may send", []step{{syn(1), "NEW_FLOW", opening, false}, {rst, "KNOWN_FLOW", opening, false}}, 1, 1},
		{"RST after FIN", []step{{ack(1), "ADOPTED", established, false}, {fin, "KNOWN_FLOW", finWait, false}, {rst, "KNOWN_FLOW", closed, false}}, 0, 1},
		{"port used again after FIN", []step{{syn(1), "NEW_FLOW", opening, false}, {fin, "KNOWN_FLOW", timeWait, false}, {syn(1), "NEW_FLOW", opening, false}}, 1, 2},
		{"port used again after RST", []step{{ack(1), "ADOPTED", established, false}, {rst, "KNOWN_FLOW", closed, false}, {syn(1), "NEW_FLOW", opening, false}}, 1, 2},
		{"SYN amid a connection", []step{{ack(1), "ADOPTED", established, false}, {syn(1), "KNOWN_FLOW", established, false}}, 1, 1},
		{"ACK first", []step{{ack(1), "ADOPTED", established, false}}, 1, 1},
		{"FIN first", []step{{fin, "ADOPTED", closed, false}}, 0, 1},
		{"RST first", []step{{rst, "STRAY_RESET", 0, true}}, 0, 0},
	}
	shared := newRig(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := shared.again(t)
			r.apply(k.snapshot(lb.Maglev, backends(3)...))
			for i, s := range row.steps {
				got := r.send(s.packet)
				flow, remembered := r.flows()[1]
				if got.action != xdpTx || got.verdict != s.verdict {
					t.Errorf("packet %d: action %d, verdict %s, want a %s", i, got.action, got.verdict, s.verdict)
				}
				if remembered == s.gone || flow.state() != s.state {
					t.Errorf("packet %d: remembered %v in state %d, want %v in %d", i, remembered, flow.state(), !s.gone, s.state)
				}
			}
			c := r.service("web").Counters
			if c.Active != row.active || c.Connections != row.conns || c.Active+c.Inactive != uint64(r.entries()) {
				t.Errorf("%d active, %d inactive, %d connections, want %d, all, %d", c.Active, c.Inactive, c.Connections, row.active, row.conns)
			}
		})
	}
}

// age makes all flows that much older: it turns the program's clock on.
func (r *rig) age(d time.Duration) {
	r.Helper()
	n, err := jiffies(d)
	ok(r, err)
	var s xdpSetting
	ok(r, r.objects.Settings.Lookup(uint32(0), &s))
	s.Skew += n
	ok(r, r.objects.Settings.Put(uint32(0), s))
}

// sweep runs the sweeper often enough to delete what is over.
func (r *rig) sweep() {
	r.Helper()
	ok(r, r.Sweep())
	ok(r, r.Sweep())
}

// A long idle connection is over, but only a SYN says that another one begins.
func TestIdleConnection(t *testing.T) {
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		t.Run(k.String(), func(t *testing.T) {
			r := newRig(t)
			r.apply(k.snapshot(lb.RoundRobin, backends(2)...))
			syn, ack := k.from(1, "SYN").bytes(), k.from(1, "ACK").bytes()
			first := r.backendOf(syn)
			r.backendOf(ack)
			r.age(DefaultTimeouts.TCP - time.Second)
			ok(t, r.Sweep())
			if c := r.service("web").Counters; c.Active != 1 {
				t.Errorf("%d flows are active before %s without a packet, want 1", c.Active, DefaultTimeouts.TCP)
			}
			r.age(2 * time.Second)
			if got := r.backendOf(ack); got != first {
				t.Errorf("an ACK of an idle flow went to backend %d, the flow's is %d", got, first)
			}
			r.age(DefaultTimeouts.TCP + time.Second)
			if got := r.send(syn); got.verdict != "NEW_FLOW" {
				t.Errorf("a SYN on an idle flow: %s, want NEW_FLOW", got.verdict)
			}
			r.age(openingTimeout + time.Second)
			ok(t, r.Sweep())
			if c := r.service("web").Counters; c.Active != 0 || r.entries() != 1 {
				t.Errorf("%d flows are active after %s without a packet, %d entries, want 0 and a tombstone", c.Active, openingTimeout, r.entries())
			}
			if got := r.send(syn); got.verdict != "NEW_FLOW" || r.entries() != 1 {
				t.Errorf("a SYN on a tombstone: %s, %d entries, want NEW_FLOW in the same one", got.verdict, r.entries())
			}
			r.age(openingTimeout + time.Second)
			r.sweep()
			if c := r.service("web").Counters; c.Active != 0 || r.entries() != 0 {
				t.Errorf("%d flows are active after two sweeps, %d entries, want none", c.Active, r.entries())
			}
		})
	}
}

// Datagrams between the same ends are one flow until none has come for the timeout.
func TestIdleDatagrams(t *testing.T) {
	for _, k := range []kind{{false, lb.UDP}, {true, lb.UDP}} {
		t.Run(k.String(), func(t *testing.T) {
			r := newRig(t)
			r.options.Timeouts.UDP = 5 * time.Minute / 2
			r.reopen()
			r.apply(k.snapshot(lb.RoundRobin, backends(2)...))
			datagram := k.from(1).bytes()
			want := []struct {
				older   time.Duration
				verdict string
				backend byte
			}{
				{0, "NEW_FLOW", 1},
				{0, "KNOWN_FLOW", 1},
				{5*time.Minute/2 - time.Second, "KNOWN_FLOW", 1},
				{5*time.Minute/2 + time.Second, "NEW_FLOW", 2},
				{0, "KNOWN_FLOW", 2},
			}
			for i, w := range want {
				r.age(w.older)
				got := r.send(datagram)
				if got.verdict != w.verdict || got.out[5] != w.backend || r.flows()[1].state() != xdpFlowStateDATAGRAMS {
					t.Errorf("datagram %d: %s to backend %d, want %s to %d", i, got.verdict, got.out[5], w.verdict, w.backend)
				}
			}
			if c := r.service("web").Counters; c.Connections != 2 || c.Active != 0 || c.Inactive != 1 {
				t.Errorf("%+v, want 2 connections, 1 inactive", c)
			}
		})
	}
}

// Flows of the same numbers in other families and protocols are other flows.
func TestFlowsOfEachKindAreApart(t *testing.T) {
	r := newRig(t)
	s := lb.Snapshot{Revision: 1}
	for i, k := range kinds {
		v := k.snapshot(lb.Maglev, with(backend(i+1), func(b *lb.Backend) {})).Services[0]
		v.Name = k.String()
		s.Services = append(s.Services, v)
	}
	r.apply(s)
	for _, verdict := range []string{"NEW_FLOW", "KNOWN_FLOW"} {
		for i, k := range kinds {
			if got := r.send(k.from(1, "SYN").bytes()); got.verdict != verdict || int(got.out[5]) != i+1 {
				t.Errorf("%s: %s to backend %d, want %s to %d", k, got.verdict, got.out[5], verdict, i+1)
			}
		}
	}
	if stats, err := r.Stats(); err != nil || stats.Flows != 4 {
		t.Errorf("%d flows (%v), want 4", stats.Flows, err)
	}
}

// Known flows stay where they are when other backends come and go and weights
// change, whatever the policy.
func TestFlowsStayWhenOthersComeAndGo(t *testing.T) {
	shared := newRig(t)
	for _, policy := range []lb.Policy{lb.RoundRobin, lb.WeightedRoundRobin, lb.SourceHash, lb.Maglev} {
		t.Run(string(policy), func(t *testing.T) {
			r := shared.again(t)
			all := backends(4)
			r.apply(snapshot(policy, all...))
			var syns, acks [][]byte
			for port := 1; port <= 500; port++ {
				source := backendAddr(port % 250)
				syns = append(syns, from(port, "SYN").source(source).bytes())
				acks = append(acks, from(port, "ACK").source(source).bytes())
			}
			home := r.burst(syns)
			changes := []struct {
				name     string
				backends []lb.Backend
			}{
				{"one added", backends(5)},
				{"one draining", append([]lb.Backend{with(all[0], draining)}, all[1:]...)},
				{"one of weight 0", append([]lb.Backend{with(all[0], func(b *lb.Backend) { b.Weight = 0 })}, all[1:]...)},
				{"one heavier", append([]lb.Backend{with(all[0], func(b *lb.Backend) { b.Weight = 9 })}, all[1:]...)},
				{"one whose health is unknown", append([]lb.Backend{with(all[0], func(b *lb.Backend) { b.Health = lb.Unknown })}, all[1:]...)},
				{"as before", all},
			}
			for _, c := range changes {
				r.apply(snapshot(policy, c.backends...))
				for i, got := range r.burst(acks) {
					if got != home[i] {
						t.Fatalf("%s: flow %d moved from backend %d to %d", c.name, i, home[i], got)
					}
				}
			}
			r.apply(snapshot(policy, all[:3]...))
			for i, got := range r.burst(acks) {
				if home[i] != 4 && got != home[i] {
					t.Fatalf("backend 4 removed: flow %d moved from backend %d to %d", i, home[i], got)
				}
				if got == 4 || got == 0 {
					t.Fatalf("backend 4 removed: flow %d goes to backend %d", i, got)
				}
			}
		})
	}
}

// A slot is given away again, but not while flows are counted in it: those would
// be the next backend's load.
func TestReusedSlotDoesNotInheritFlows(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	for port := 1; port <= 20; port++ {
		r.send(syn(port))
	}
	home := r.flows()
	slot, gone := home[1].slot(), lb.BackendID(home[1].id())
	stays := backend(3 - int(gone))
	r.apply(snapshot(lb.RoundRobin, stays, backend(6)))
	if m := r.state.services[0].find(6); m.slot == slot {
		t.Fatalf("slot %d was given away while flows were counted in it", slot)
	}
	r.apply(snapshot(lb.RoundRobin, stays))
	if c := r.service("web").Counters; c.Connections != 20 {
		t.Errorf("%d connections while a removed backend's slot rests, want 20", c.Connections)
	}
	for port := 1; port <= 10; port++ {
		got := r.send(ack(port))
		if moved := home[port].slot() == slot; moved != (got.verdict == "MOVED_FLOW") || lb.BackendID(got.out[5]) != stays.ID {
			t.Errorf("flow %d: %s to backend %d, want it moved %v", port, got.verdict, got.out[5], moved)
		}
	}
	r.age(2 * openingTimeout) // of the other ten
	ok(t, r.Sweep())
	if r.state.slots.used[slot] {
		t.Fatalf("slot %d is still in use, and has no flows", slot)
	}
	r.apply(snapshot(lb.RoundRobin, stays, backend(7)))
	v := r.state.find("web")
	if m := v.find(7); m == nil || m.slot != slot {
		t.Fatalf("the test means nothing: backend 7 is not in slot %d", slot)
	}
	for _, b := range r.service("web").Backends {
		if want := map[lb.BackendID]uint64{stays.ID: 10}[b.ID]; b.Counters.Active != want || b.Counters.Inactive != 0 {
			t.Errorf("backend %s has %d active and %d inactive flows, want %d and none", b.Name, b.Counters.Active, b.Counters.Inactive, want)
		}
	}
	if c := r.service("web").Counters; c.Connections != 20+countMoved(home, slot) {
		t.Errorf("%d connections in the end, want 20 and those that moved", c.Connections)
	}
}

// countMoved is how many of the first ten flows were a slot's.
func countMoved(home map[int]xdpFlow, slot uint32) (n uint64) {
	for port := 1; port <= 10; port++ {
		if home[port].slot() == slot {
			n++
		}
	}
	return n
}
