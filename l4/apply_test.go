package l4

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"lbctl/internal/lb"
)

// What this plane cannot do is refused whole, and what was there forwards on.
func TestApplyRefusesWhatItCannotDo(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.Maglev, backend(1)))
	rows := []struct {
		change func(*lb.Service)
		want   string
	}{
		{func(s *lb.Service) { s.Policy = "random" }, `unknown policy "random"`},
		{func(s *lb.Service) { s.Policy, s.L4.Ports = lb.RoundRobin, true }, "hashes no port"},
		{func(s *lb.Service) { s.Policy, s.L4 = lb.DestinationHash, lb.L4Options{Fallback: true} }, "has no fallback"},
		{func(s *lb.Service) { s.Backends[0].Weight = 1 << 31 }, "weight 2147483648: want at most 2147483647"},
		{func(s *lb.Service) { s.Backends[0].Upper = 1 << 31 }, "upper threshold 2147483648"},
		{func(s *lb.Service) { s.Backends[0].Upper, s.Backends[0].Lower = 4, 5 }, "lower threshold 5 is above"},
		{func(s *lb.Service) { s.Backends = backends(4094) }, "with 4094 backends: want at most 4093"},
		{func(s *lb.Service) { s.Forward = "drr" }, `forward "drr": want dr, nat, tun or fullnat`},
		{func(s *lb.Service) { s.VIP.Proto = "sctp" }, `protocol "sctp": want tcp or udp`},
		{func(s *lb.Service) { s.VIP.Addr = netip.MustParseAddrPort("[2001:2::1]:80") }, "want the family of"},
		{func(s *lb.Service) { s.VIP.Addr = netip.AddrPort{} }, "no VIP"},
		{func(s *lb.Service) { s.Backends[0].Addr = netip.MustParseAddrPort("198.18.4.1:8080") }, "direct routing keeps the port"},
		{func(s *lb.Service) { s.L4.TOA = true }, "it is for forward fullnat"},
		{func(s *lb.Service) { s.L4.SYNCookies = lb.SYNCookiesAuto }, "replies do not pass the balancer"},
		{func(s *lb.Service) { s.L4.OnePacket = true }, "one_packet: want proto udp"},
		{func(s *lb.Service) { s.L4.Lost = "leave" }, `lost "leave": want drop, expire or reset`},
		{func(s *lb.Service) { s.L4.Lost, s.VIP.Proto = lb.LostResets, lb.UDP }, "only TCP has a RST"},
		{func(s *lb.Service) { s.L4.OnePacket, s.VIP.Proto, s.Forward = true, lb.UDP, lb.NAT }, "no reply could be translated"},
		{func(s *lb.Service) { s.L4.OnePacket, s.VIP.Proto, s.Forward = true, lb.UDP, lb.FullNAT }, "no reply could be translated"},
		{func(s *lb.Service) { s.L4.TOA, s.VIP.Proto, s.Forward = true, lb.UDP, lb.FullNAT }, "option of TCP"},
		{func(s *lb.Service) { s.L4.Persist.Timeout = time.Millisecond }, "want a second or more"},
		{func(s *lb.Service) { s.L4.Persist.Timeout = 1000 * time.Hour }, "want at most"},
		{func(s *lb.Service) { s.L4.Persist = lb.Persistence{Timeout: time.Minute, Bits4: 33} }, "want 1 to 32"},
		{func(s *lb.Service) { s.Backends[0].Upper, s.Backends[0].Lower = 2, 3 }, "is above the upper one"},
		{func(s *lb.Service) { s.Backends[0].MaxConn = 5 }, "are for l7"},
		{func(s *lb.Service) { s.Backends[0].Backup = true }, "are for l7"},
		{func(s *lb.Service) { s.Backends[0].ID = 0 }, `backend "s1" has no ID`},
		{func(s *lb.Service) { s.Backends = append(s.Backends, s.Backends[0]) }, `has the ID of "s1"`},
	}
	for _, row := range rows {
		s := snapshot(lb.Maglev, backend(1))
		bad := s.Services[0]
		bad.Name, bad.VIP.Addr = "bad", netip.MustParseAddrPort("198.18.3.2:80")
		bad.Backends = []lb.Backend{backend(1)}
		row.change(&bad)
		s.Services = []lb.Service{bad}
		err := r.Apply(t.Context(), s)
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), `"bad"`) {
			t.Errorf("error %v, want one that names the service and says %q", err, row.want)
		}
	}
	if got := r.send(syn(1)); got.verdict != "NEW_FLOW" {
		t.Errorf("after refused Snapshots: %s, want NEW_FLOW", got.verdict)
	}
	twice := snapshot(lb.Maglev, backend(1))
	twice.Services = append(twice.Services, twice.Services[0])
	if err := r.Apply(t.Context(), twice); err == nil {
		t.Error("two services have the same VIP, and there is no error")
	}
}

// A Snapshot's L7 services are nothing to this plane.
func TestApplyLeavesL7Alone(t *testing.T) {
	r := newRig(t)
	s := snapshot(lb.Maglev, backend(1))
	s.Services[0].Plane, s.Services[0].Policy = lb.L7, lb.LeastConn
	r.apply(s)
	if got := r.send(syn(1)); got.verdict != "NOT_VIP" {
		t.Errorf("a packet to an L7 service: %s, want NOT_VIP", got.verdict)
	}
}

// An eligible backend without a MAC address is named and left out, the others
// forward; once it answers, the same Snapshot is applied whole.
func TestApplyNamesTheBackendThatDoesNotAnswer(t *testing.T) {
	r := newRig(t)
	silent := with(backend(1), func(b *lb.Backend) {
		b.ID, b.Name, b.Addr = 50, "silent", netip.MustParseAddrPort("198.18.4.50:80")
	})
	s := snapshot(lb.RoundRobin, backend(1), silent)
	begin := time.Now()
	err := r.Apply(t.Context(), s)
	if err == nil || !strings.Contains(err.Error(), `"silent"`) || !strings.Contains(err.Error(), `"web"`) {
		t.Fatalf("error %v, want one that names the backend and the service", err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("Apply took %s for one silent backend", took)
	}
	stats, err := r.Stats()
	ok(t, err)
	if stats.Revision == s.Revision {
		t.Error("the revision is reported as applied, but is not whole")
	}
	for port := 1; port <= 4; port++ {
		if got := r.backendOf(syn(port)); got != 1 {
			t.Errorf("connection %d went to backend %d, want 1", port, got)
		}
	}
	ok(t, r.ns.Do(func() error {
		return netlink.NeighSet(&netlink.Neigh{
			LinkIndex: r.ifindex, IP: silent.Addr.Addr().AsSlice(), HardwareAddr: backendMAC(50), State: netlink.NUD_PERMANENT,
		})
	}))
	r.apply(s)
	if got := r.burst([][]byte{syn(5), syn(6)}); got[0]+got[1] != 51 {
		t.Errorf("two connections went to %v, want one to each backend", got)
	}
}

// A dead server is no error unless something new could go to it.
func TestApplyNeedsNoNeighbourForWhatIsNotEligible(t *testing.T) {
	r := newRig(t)
	silent := func(health lb.Health, admin lb.Admin) lb.Backend {
		b := backend(1)
		b.ID, b.Addr, b.Health, b.Admin = 50, netip.MustParseAddrPort("198.18.4.50:80"), health, admin
		return b
	}
	for _, b := range []lb.Backend{silent(lb.Unknown, lb.Enabled), silent(lb.Down, lb.Enabled), silent(lb.Up, lb.Draining)} {
		r.apply(snapshot(lb.RoundRobin, backend(1), b))
	}
}

func TestApplyCancelledSaysSo(t *testing.T) {
	r := newRig(t)
	silent := with(backend(1), func(b *lb.Backend) { b.Addr = netip.MustParseAddrPort("198.18.4.50:80") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	if err := r.Apply(ctx, snapshot(lb.RoundRobin, silent)); err == nil {
		t.Error("no error though the backend is not resolved")
	}
	if took := time.Since(begin); took > arpWait {
		t.Errorf("a cancelled Apply took %s", took)
	}
}

// A service that has not changed keeps its table, to the kernel's id.
func TestApplyDoesNotTouchUnchangedServices(t *testing.T) {
	r := newRig(t)
	s := snapshot(lb.Maglev, backends(3)...)
	other := s.Services[0]
	other.Name, other.VIP.Addr = "other", netip.MustParseAddrPort("198.18.3.2:80")
	s.Services = append(s.Services, other)
	r.apply(s)
	table := func(i int) (id ebpf.MapID) {
		ok(t, r.objects.Tables.Lookup(r.state.services[i].value.Table, &id))
		return id
	}
	first, second := table(0), table(1)
	s.Revision++
	s.Services = []lb.Service{s.Services[0], other}
	s.Services[1].Backends = backends(2)
	r.apply(s)
	if table(0) != first {
		t.Error("the table of a service that has not changed was replaced")
	}
	if table(1) == second {
		t.Error("the test means nothing: the changed service has its old table")
	}
}

// What is removed leaves nothing in the maps, and counters of removed backends
// stay in their service's.
func TestRemovedServiceLeavesNothing(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	r.burst([][]byte{syn(1), syn(2), syn(3)})
	r.apply(snapshot(lb.RoundRobin, backend(2)))
	s := r.service("web")
	if s.Counters.Connections != 3 || len(s.Backends) != 1 || s.Backends[0].Counters.Connections != 1 {
		t.Errorf("after a backend was removed: %+v, want 3 connections, 1 of them of s2", s)
	}
	r.apply(snapshot(lb.RoundRobin, backend(2), backend(1)))
	s = r.service("web")
	if s.Counters.Connections != 3 || s.Backends[0].Counters.Connections != 0 {
		t.Errorf("after it was added again: %+v, want 3 connections, none of them of s1", s)
	}
	r.burst([][]byte{syn(11), syn(12)})
	last := snapshot(lb.RoundRobin, backend(2))
	k := kind{proto: lb.TCP}
	last.Services[0].L4.Also = []lb.Match{k.match("198.18.3.2", 32, 80, 80), k.match("198.18.100.0", 24, 80, 80), kind{proto: lb.UDP}.match("198.18.3.1", 32, 80, 80)}
	r.apply(last)
	if s = r.service("web"); s.Counters.Connections != 5 {
		t.Errorf("after the same backend was removed twice: %d connections, want 5", s.Counters.Connections)
	}
	r.apply(lb.Snapshot{Revision: 1 << 20})
	if got := r.send(syn(4)); got.verdict != "NOT_VIP" {
		t.Errorf("a packet to a removed service: %s, want NOT_VIP", got.verdict)
	}
	if !r.state.slots.used[0] {
		t.Error("a slot is free while flows are counted in it")
	}
	r.age(2 * openingTimeout)
	r.sweep()
	fresh, err := readState(&r.objects.xdpMaps)
	ok(t, err)
	if len(fresh.services)+len(fresh.leaving)+len(fresh.retiring)+len(fresh.oldTables) != 0 {
		t.Errorf("the maps still hold %+v", fresh)
	}
	if k := fresh.keys; len(k.vips)+len(k.prefixes)+len(k.addresses)+len(k.old) != 0 || fresh.shortest != [2]uint32{} {
		t.Errorf("the maps still hold %+v, shortest prefixes %v", k, fresh.shortest)
	}
	var classes ebpf.MapID
	if err := r.objects.PortClasses.Lookup(uint32(0), &classes); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("there are still classes of ports (%v)", err)
	}
	for i, bits := range fresh.filter {
		if bits != 0 {
			t.Errorf("word %d of the filter is %#x", i, bits)
		}
	}
	for slot, used := range fresh.slots.used {
		if used {
			t.Errorf("slot %d is still in use", slot)
		}
	}
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	if s = r.service("web"); s.Counters.Connections != 0 {
		t.Errorf("a new service begins with %d connections", s.Counters.Connections)
	}
}

func TestClosedPlaneSaysSo(t *testing.T) {
	r := newRig(t)
	ok(t, r.Plane.Close())
	if err := r.Apply(t.Context(), snapshot(lb.RoundRobin)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Apply after Close: %v", err)
	}
	if _, err := r.Stats(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Stats after Close: %v", err)
	}
}
