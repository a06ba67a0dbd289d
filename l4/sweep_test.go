package l4

import (
	"testing"
	"time"

	"lbctl/internal/lb"
)

// Each state has its own time, as in IPVS; what is over is a tombstone first and
// deleted by the next sweep.
func TestFlowsExpireByTheirState(t *testing.T) {
	tcp, udp := kind{false, lb.TCP}, kind{true, lb.UDP}
	rows := []struct {
		name    string
		packets []*segment
		lives   time.Duration
	}{
		{"SYN", []*segment{tcp.from(1, "SYN")}, 60 * time.Second},
		{"open", []*segment{tcp.from(1, "SYN"), tcp.from(1, "ACK")}, 900 * time.Second},
		{"FIN", []*segment{tcp.from(1, "SYN"), tcp.from(1, "ACK"), tcp.from(1, "FIN", "ACK")}, 120 * time.Second},
		{"RST", []*segment{tcp.from(1, "SYN"), tcp.from(1, "ACK"), tcp.from(1, "RST")}, 10 * time.Second},
		{"datagram", []*segment{udp.from(1)}, 300 * time.Second},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			r.apply(row.packets[0].snapshot(lb.RoundRobin, backends(2)...))
			for _, p := range row.packets {
				r.send(p.bytes())
			}
			check := func(when string, levels, entries int) {
				t.Helper()
				c := r.service("web").Counters
				if got := int(c.Active + c.Inactive); got != levels || r.entries() != entries {
					t.Errorf("%s: %d flows in %d entries, want %d in %d", when, got, r.entries(), levels, entries)
				}
			}
			r.age(row.lives - time.Second)
			r.sweep()
			check("a second before its time", 1, 1)
			r.age(2 * time.Second)
			ok(t, r.Sweep())
			check("a second after it", 0, 1)
			ok(t, r.Sweep())
			check("a sweep later", 0, 0)
			stats, err := r.Stats()
			ok(t, err)
			expired := stats.FlowTables[0].Expired + stats.FlowTables[1].Expired
			if expired != 1 || stats.FlowTables[0].Entries+stats.FlowTables[1].Entries != 0 {
				t.Errorf("%+v, want one expired and none left", stats.FlowTables)
			}
		})
	}
}

// A full table takes nothing new. What does not fit goes by its hash, each packet
// to the same backend, and goes on there once there is room.
func TestFullTableDegradesToHashing(t *testing.T) {
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		t.Run(k.String(), func(t *testing.T) { fillTable(t, k) })
	}
}

func fillTable(t *testing.T, k kind) {
	const room = 1024
	r := newRig(t)
	r.options.MaxFlows = room
	r.empty()
	r.apply(k.snapshot(lb.RoundRobin, backends(3)...))
	var syns [][]byte
	for port := 1; port <= 2*room; port++ {
		syns = append(syns, k.from(port, "SYN").bytes())
	}
	home := r.burst(syns)
	degraded := r.packets("DEGRADED")
	// A line may be full before the table is.
	if fresh := r.packets("NEW_FLOW"); fresh > room || fresh < room-room/100 || fresh+degraded != 2*room {
		t.Fatalf("%d flows were remembered and %d not, of %d in a table for %d", fresh, degraded, 2*room, room)
	}
	c := r.service("web").Counters
	if uint64(r.entries()) != c.Active || c.Connections != 2*room {
		t.Errorf("%d active flows of %d connections in %d entries", c.Active, c.Connections, r.entries())
	}
	known := r.flows()
	without := 0
	for port := 1; without == 0; port++ {
		if _, remembered := known[port]; !remembered {
			without = port
		}
	}
	if got := r.send(k.from(without, "ACK").bytes()); got.verdict != "DEGRADED" || int(got.out[5]) != home[without-1] {
		t.Errorf("a further packet: %s to %d, want DEGRADED to %d", got.verdict, got.out[5], home[without-1])
	}
	if got := r.send(k.from(without, "RST").bytes()); got.verdict != "STRAY_RESET" || int(got.out[5]) != home[without-1] {
		t.Errorf("its RST: %s to %d, want STRAY_RESET to %d", got.verdict, got.out[5], home[without-1])
	}
	r.age(2 * openingTimeout)
	r.sweep()
	if got := r.send(k.from(without, "ACK").bytes()); got.verdict != "ADOPTED" || int(got.out[5]) != home[without-1] {
		t.Errorf("once there is room: %s to %d, want ADOPTED to %d", got.verdict, got.out[5], home[without-1])
	}
}

// Under NAT a packet without an entry would have no reply.
func TestFullTableRefusesNAT(t *testing.T) {
	k := kind{false, lb.TCP}
	r := newRig(t)
	r.options.MaxFlows = 256
	r.empty()
	r.apply(k.nat(backends(3)...))
	full := func() bool { return r.packets("NO_ROOM") > 0 }
	for port := 1; !full(); port++ {
		if port > 256 {
			t.Fatal("the table takes no end of flows")
		}
		if got := r.send(k.from(port, "SYN").bytes()); got.verdict != "NEW_FLOW" && (got.verdict != "NO_ROOM" || got.action != xdpDrop) {
			t.Fatalf("connection %d: action %d, %s", port, got.action, got.verdict)
		}
	}
	r.age(2 * openingTimeout)
	r.sweep()
	if c := r.service("web").Counters; c.Active != 0 || r.entries() != 0 {
		t.Errorf("%d active flows, %d entries after all is over", c.Active, r.entries())
	}
}

// The sweeper of a Plane runs by itself.
func TestPlaneSweepsByItself(t *testing.T) {
	r := newRig(t)
	r.options.SweepInterval = 10 * time.Millisecond
	r.reopen()
	r.apply(snapshot(lb.RoundRobin, backend(1)))
	r.send(syn(1))
	r.age(2 * openingTimeout)
	for r.entries() != 0 {
		if t.Context().Err() != nil {
			t.Fatal("the flow is still there")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if c := r.service("web").Counters; c.Active != 0 {
		t.Errorf("%d active flows", c.Active)
	}
}
