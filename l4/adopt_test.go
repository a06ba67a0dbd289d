package l4

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"lbctl/internal/lb"
)

// A daemon that comes back finds services, counters, flows and the program as
// they were, before it has applied anything.
func TestReopenedPlaneGoesOn(t *testing.T) {
	runTime, err := EnableRunTime()
	ok(t, err)
	defer runTime.Close()
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) { goOn(t, k) })
	}
}

func goOn(t *testing.T, k kind) {
	syn, ack := func(n int) []byte { return k.from(n, "SYN").bytes() }, func(n int) []byte { return k.from(n, "ACK").bytes() }
	r := newRig(t)
	s := k.snapshot(lb.RoundRobin, backends(3)...)
	r.apply(s)
	home := r.burst([][]byte{syn(1), syn(2), syn(3), syn(4)})
	before, err := r.Stats()
	ok(t, err)
	if before.Run.Runs == 0 || before.Run.Total == 0 {
		t.Errorf("run time %+v, want some", before.Run)
	}

	r.reopen()
	after, err := r.Stats()
	ok(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("statistics before (-) and after (+) a restart:\n%s", diff)
	}
	check := func(when string) {
		t.Helper()
		for i, got := range r.burst([][]byte{ack(1), ack(2), ack(3), ack(4)}) {
			if got != home[i] {
				t.Errorf("%s: flow %d moved from backend %d to %d", when, i+1, home[i], got)
			}
		}
	}
	check("after a restart")
	r.apply(s)
	check("after the same Snapshot was applied again")
	if got := r.backendOf(syn(5)); got != 2 {
		t.Errorf("the round goes on with backend %d, want 2", got)
	}
	s.Revision++
	s.Services[0].Backends = s.Services[0].Backends[:2]
	r.apply(s)
	if c := r.service("web"); c.Counters.Connections != 5 || len(c.Backends) != 2 {
		t.Errorf("after one was removed: %+v, want 5 connections and 2 backends", c)
	}
}

// Timeouts change while the program runs, without another one, and stay where
// they are unless a daemon that comes back is told otherwise.
func TestTimeoutsAreSettable(t *testing.T) {
	r := newRig(t)
	check := func(when string, want Timeouts) {
		t.Helper()
		got, err := r.Plane.Timeouts()
		ok(t, err)
		if got != want {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
	}
	check("at first", DefaultTimeouts)
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	r.burst([][]byte{syn(1), ack(1)})
	r.age(2 * time.Minute)
	r.sweep()
	if len(r.flows()) != 1 {
		t.Fatal("a flow was forgotten after 2 minutes")
	}
	ok(t, r.SetTimeouts(Timeouts{TCP: time.Minute}))
	want := DefaultTimeouts
	want.TCP = time.Minute
	check("set", want)
	r.sweep()
	if len(r.flows()) != 0 {
		t.Error("a flow of 2 minutes is remembered beyond its timeout of one")
	}
	r.reopen()
	check("reopened", want)
	r.options.Timeouts.UDP = time.Second
	want.UDP = time.Second
	r.reopen()
	check("reopened with another", want)
	s := snapshot(lb.RoundRobin, backends(2)...)
	s.Revision, s.Timeouts.FIN = 2, time.Hour
	want.FIN = time.Hour
	r.apply(s)
	check("applied", want)
	s.Revision, s.Timeouts = 3, Timeouts{}
	r.apply(s)
	check("applied without", want)
	if s.Timeouts.TCP = 25 * 24 * time.Hour; r.Apply(t.Context(), s) == nil {
		t.Error("a snapshot with a timeout of 25 days was taken")
	}
	check("refused", want)
	if err := r.SetTimeouts(Timeouts{TCP: 1000 * 24 * time.Hour}); err == nil {
		t.Error("1000 days were taken, and the clock goes round before")
	}
}

// Forwarding does not need the plane: the links are the kernel's.
func TestClosedPlaneStaysAttached(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backend(1)))
	ok(t, r.Plane.Close())
	l, err := link.LoadPinnedLink(filepath.Join(r.options.PinDir, pinOf(hook, r.ifindex)), nil)
	ok(t, err)
	defer l.Close()
	if !on(l, r.ifindex) {
		t.Error("the link is not on the interface any more")
	}
	want := map[lb.Hook]uint32{lb.HookNative: 1, lb.HookGeneric: 2}[hook] // XDP_ATTACHED_DRV, _SKB
	if mode := r.xdpMode("eth0"); mode != want {
		t.Errorf("after Close XDP is attached in mode %d, want %d", mode, want)
	}
}

// xdpMode is how XDP is attached to an interface: 0 not, 1 native, 2 generic.
func (r *rig) xdpMode(name string) (mode uint32) {
	r.Helper()
	ok(r, r.ns.Do(func() error {
		l, err := netlink.LinkByName(name)
		ok(r, err)
		if x := l.Attrs().Xdp; x != nil && x.Attached {
			mode = x.AttachMode
		}
		return nil
	}))
	return mode
}

// Whatever a killed daemon left half-way is put in order by the next Apply.
func TestReopenedPlaneClearsWhatACrashLeft(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backends(3)...))
	r.burst([][]byte{syn(1), syn(2), syn(3)})
	v := r.state.services[0]
	// Killed after s3 had left the table and its slot, before its counters were kept;
	// with a table that no service names yet; and after the service of s9 was deleted.
	gone := v.find(3)
	half := gone.backend
	half.Id = 0
	ok(t, r.objects.Backends.Put(gone.slot, half))
	table, err := r.fill(make([]xdpLine, 2))
	ok(t, err)
	ok(t, r.objects.Tables.Put(uint32(99), uint32(table.FD())))
	ok(t, table.Close())
	ok(t, r.objects.Backends.Put(uint32(77), xdpBackend{Id: 9, Given: 9, Service: 55}))

	r.reopen()
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	if c := r.service("web").Counters; c.Connections != 3 {
		t.Errorf("%d connections, want 3: the counters of a backend whose flows are not over yet count", c.Connections)
	}
	r.age(2 * openingTimeout)
	r.sweep()
	if c := r.service("web").Counters; c.Connections != 3 {
		t.Errorf("%d connections, want 3: the counters of a backend removed half-way must be kept", c.Connections)
	}
	var id ebpf.MapID
	if err := r.objects.Tables.Lookup(uint32(99), &id); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("the table that no service names: %v", err)
	}
	var b xdpBackend
	for _, slot := range []uint32{77, gone.slot} {
		ok(t, r.objects.Backends.Lookup(slot, &b))
		if b != (xdpBackend{}) {
			t.Errorf("slot %d is not free: %+v", slot, b)
		}
	}
	if r.state.indices.used[55] || !r.state.indices.used[r.state.find(v.name).value.Index] {
		t.Error("indices of services are not as the services are")
	}
}

// Counters are kept once, wherever the daemon was killed in between.
func TestCountersAreKeptOnce(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	r.burst([][]byte{syn(1), syn(2)})
	m := r.state.services[0].find(2)
	half := m.backend
	half.Id = 0
	ok(t, r.objects.Backends.Put(m.slot, half))
	ok(t, r.keepCounters(m)) // and killed before the slot was freed
	r.reopen()
	r.apply(snapshot(lb.RoundRobin, backend(1)))
	for range 2 {
		if c := r.service("web").Counters; c.Connections != 2 {
			t.Errorf("%d connections, want 2", c.Connections)
		}
		r.age(2 * openingTimeout)
		r.sweep()
	}
}

func TestOpenRefusesMapsOfAnotherLayout(t *testing.T) {
	t.Run("another size", func(t *testing.T) {
		r := newRig(t)
		ok(t, r.Plane.Close())
		pin := filepath.Join(r.options.PinDir, xdpMapCursors)
		ok(t, os.Remove(pin))
		other, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 8})
		ok(t, err)
		ok(t, other.Pin(pin))
		ok(t, other.Close())
		if _, err := Open(r.options); !errors.Is(err, ErrIncompatible) {
			t.Errorf("Open: %v, want %v", err, ErrIncompatible)
		}
	})
	t.Run("the same sizes", func(t *testing.T) {
		r := newRig(t)
		ok(t, r.objects.AboutMaps.Put(uint32(0), xdpAbout{Layout: 1}))
		ok(t, r.Plane.Close())
		if _, err := Open(r.options); !errors.Is(err, ErrIncompatible) {
			t.Errorf("Open: %v, want %v", err, ErrIncompatible)
		}
	})
}

// An interface that is no longer the plane's loses its program.
func TestReopenedPlaneLeavesAnInterface(t *testing.T) {
	r := newRig(t)
	r.options.Interfaces = []string{"eth0"}
	r.reopen()
	if r.xdpMode("eth1") != 0 || r.isPinned(pinOf(hook, r.eth1)) {
		t.Error("eth1 still has a program")
	}
	// Nothing may be sent there any more, either.
	b := with(backend(101), func(b *lb.Backend) { b.Addr = netip.AddrPortFrom(farAddr, 80) })
	if err := r.Apply(t.Context(), snapshot(lb.RoundRobin, b)); err == nil {
		t.Error("a backend behind an interface that is not the plane's is no error")
	}
}

// follow is what the plane does once a second.
func (r *rig) follow() {
	r.Helper()
	ports, err := r.ports()
	ok(r, err)
	ok(r, r.writePorts(ports))
	ok(r, r.refreshHops(ports))
}

// Servers may get new network cards.
func TestNextHopIsFollowed(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backend(1)))
	r.send(syn(1))
	ok(t, r.ns.Do(func() error {
		r.neighbour(r.ifindex, backendAddr(1), backendMAC(99))
		return nil
	}))
	r.follow()
	if got := r.backendOf(ack(1)); got != 99 {
		t.Errorf("the packet went to MAC address %d, want 99", got)
	}
}

func TestProbe(t *testing.T) {
	hooks, err := Probe(true)
	ok(t, err)
	for _, h := range lb.Hooks {
		if err, tried := hooks[h]; err != nil || !tried {
			t.Errorf("%s: %v", h, err)
		}
	}
	if hook, err := AutoOnVeth(); err != nil || hook != lb.HookTCX {
		t.Errorf("auto is %q, %v", hook, err)
	}
}
