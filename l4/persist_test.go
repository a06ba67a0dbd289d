package l4

import (
	"net/netip"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// persistent has one service whose clients stick for a time.
func (k kind) persistent(p lb.Persistence, backends ...lb.Backend) lb.Snapshot {
	s := k.snapshot(lb.RoundRobin, backends...)
	s.Services[0].L4.Persist = p
	return s
}

// neighbourOf is the address n beyond.
func neighbourOf(a netip.Addr, n int) netip.Addr {
	for range n {
		a = a.Next()
	}
	return a
}

func TestClientsStickToTheirBackend(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			r := newRig(t)
			bits := lb.Persistence{Timeout: 30 * time.Second, Bits4: 30, Bits6: 126}
			r.apply(k.persistent(bits, backends(3)...))
			to := func(client, port int) int {
				return int(r.backendOf(k.from(port, "SYN").source(neighbourOf(k.of(netip.MustParseAddr("198.18.1.4")), client)).bytes()))
			}
			first := to(0, 1)
			for port := 2; port <= 6; port++ {
				if got := to(port%4, port); got != first {
					t.Errorf("connection %d of the clients went to backend %d, the first to %d", port, got, first)
				}
			}
			second := to(4, 1) // beyond the mask
			if second == first {
				t.Errorf("another client went to backend %d, too", second)
			}
			levels := map[int]uint64{}
			for _, b := range r.service("web").Backends {
				levels[int(b.ID)] = b.Counters.Sticky
			}
			if levels[first] != 1 || levels[second] != 1 || r.service("web").Counters.Sticky != 2 {
				t.Errorf("templates by backend are %v, want one of %d and one of %d", levels, first, second)
			}
			ok(t, r.recount())
		})
	}
}

// A template is renewed by each connection and over after the timeout, unless
// connections of it live.
func TestTemplatesLiveAsLongAsTheirConnections(t *testing.T) {
	k := kind{false, lb.TCP}
	for _, c := range []struct {
		name  string
		flags []string // of the packet after the SYN
		stick bool
	}{
		{"closed", []string{"RST", "ACK"}, false},
		{"open", []string{"ACK"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.apply(k.persistent(lb.Persistence{Timeout: 30 * time.Second}, backends(3)...))
			to := func(port int) int { return int(r.backendOf(k.from(port, "SYN").bytes())) }
			first := to(1)
			r.age(20 * time.Second)
			if got := to(2); got != first {
				t.Fatalf("within its time the client moved to %d", got)
			}
			r.age(20 * time.Second)
			if got := to(3); got != first {
				t.Errorf("the client moved to %d, 20 s after another connection", got)
			}
			for port := 1; port <= 3; port++ {
				r.send(k.from(port, "ACK").bytes())
				r.send(k.from(port, c.flags...).bytes())
			}
			for range 4 {
				r.age(25 * time.Second)
				r.sweep()
			}
			if sticky := r.service("web").Counters.Sticky; (sticky == 1) != c.stick {
				t.Errorf("%d templates after 100 s", sticky)
			}
			if got := to(4); (got == first) != c.stick {
				t.Errorf("the client went to %d, at first to %d", got, first)
			}
			ok(t, r.recount())
		})
	}
}

// In IPVS a client sticks to a backend of weight 0, unless it is told otherwise;
// to one that is drained, down or removed it does not.
func TestClientsLeaveABackendThatTakesNothing(t *testing.T) {
	k := kind{false, lb.TCP}
	weightless := func(b *lb.Backend) { b.Weight = 0 }
	for _, c := range []struct {
		name    string
		quiesce bool
		change  func(*lb.Backend)
		sticks  bool
	}{
		{"weight 0", false, weightless, true},
		{"weight 0, quiesce", true, weightless, false},
		{"draining", false, draining, false},
		{"down", false, down, false},
		{"overloaded", false, func(b *lb.Backend) { b.Upper = 1 }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			p := lb.Persistence{Timeout: time.Hour, Quiesce: c.quiesce}
			all := backends(2)
			r.apply(k.persistent(p, all...))
			first := int(r.backendOf(syn(1)))
			all[first-1] = with(all[first-1], c.change)
			r.apply(k.persistent(p, all...))
			if got := int(r.backendOf(syn(2))); (got == first) != c.sticks {
				t.Errorf("the client of backend %d went to %d", first, got)
			}
			ok(t, r.recount())
		})
	}
	t.Run("removed", func(t *testing.T) {
		r := newRig(t)
		p := lb.Persistence{Timeout: time.Hour}
		r.apply(k.persistent(p, backends(2)...))
		first := int(r.backendOf(syn(1)))
		r.apply(k.persistent(p, backend(3-first)))
		if got := int(r.backendOf(syn(2))); got != 3-first {
			t.Errorf("the client of removed backend %d went to %d", first, got)
		}
		r.age(2 * openingTimeout)
		r.sweep()
		r.apply(lb.Snapshot{Revision: 1 << 20})
		r.sweep()
		for slot, used := range r.state.slots.used {
			if used {
				t.Errorf("slot %d is in use for the templates of what is gone", slot)
			}
		}
		ok(t, r.recount())
	})
}

// One-packet scheduling: each datagram on its own, and none remembered.
func TestEachDatagramIsScheduledAnew(t *testing.T) {
	for _, k := range []kind{{false, lb.UDP}, {true, lb.UDP}} {
		r := newRig(t)
		s := k.snapshot(lb.RoundRobin, backends(2)...)
		s.Services[0].L4.OnePacket = true
		r.apply(s)
		for i := range 6 {
			if got := r.send(k.from(1).bytes()); got.verdict != "ONE_PACKET" || int(got.out[5]) != i%2+1 {
				t.Errorf("%s %d: %s to backend %d, want ONE_PACKET in turns", k, i, got.verdict, got.out[5])
			}
		}
		if c := r.service("web").Counters; c.Connections != 6 || c.Inactive != 0 || r.entries() != 0 {
			t.Errorf("%s: %+v, %d entries, want 6 connections and nothing remembered", k, c, r.entries())
		}
		r.leave()
	}
}
