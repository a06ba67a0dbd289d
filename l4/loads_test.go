package l4

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// recount compares loads with the live entries of the flow tables, slot by slot, and looks
// at the tables.
func (r *rig) recount() error {
	r.Helper()
	want := make([]xdpLoad, r.objects.Loads.MaxEntries())
	visit := func(f xdpFlow) {
		switch {
		case f.id() == 0 || f.kind() != xdpFlowKindREQUESTS:
		case f.state() == xdpFlowStateOPENING, f.state() == xdpFlowStateESTABLISHED:
			want[f.slot()].Flows += 1 << 32
		default:
			want[f.slot()].Flows++
		}
	}
	r.eachFlow(func(e flowEntry) { visit(e.flow) })
	var key xdpClients
	var template xdpTemplate
	entries := r.objects.Templates.Iterate()
	for entries.Next(&key, &template) {
		if template.Owner>>32 != 0 {
			want[template.Owner>>16&0xffff].Templates++
		}
	}
	ok(r, entries.Err())
	got := make([]xdpLoad, len(want))
	ok(r, readArray(r.objects.Loads, got))
	for slot := range want {
		if got[slot] != want[slot] {
			return fmt.Errorf("slot %d has %#x in loads, its entries add up to %#x", slot, got[slot], want[slot])
		}
	}
	return r.checkTables()
}

// storm is what packets of the property test may be: a few clients, so that CPUs
// meet at the same entries, of both families, protocols and ways of forwarding.
func storm(clients int) (packets [][]byte) {
	for _, k := range kinds {
		for port := 1; port <= clients; port++ {
			for _, flags := range [][]string{{"SYN"}, {"ACK"}, {"ACK", "PSH"}, {"FIN", "ACK"}, {"RST"}} {
				request := k.from(port, flags...)
				packets = append(packets, request.bytes(),
					request.target(k.of(natVIP)).bytes(), k.reply(port%4+1, port, flags...).bytes(),
					request.target(k.of(fullNATVIP)).bytes(), k.replyTo(port%4+1, k.someLocal(port), flags...).bytes())
			}
			packets = append(packets, k.reply(port%4+1, port, "SYN", "ACK").bytes())
		}
	}
	return packets
}

// fullNATVIP is that of services under full NAT, and someLocal one of few local ends that may be a flow's.
var fullNATVIP = backendAddr(201)

func (k kind) someLocal(n int) netip.AddrPort {
	return netip.AddrPortFrom(k.of(netip.AddrFrom4([4]byte{198, 18, 2, byte(224 + n%16)})), uint16(firstPoolPort+n/16))
}

// natVIP is that of services under NAT beside those of direct routing.
var natVIP = backendAddr(200)

// mixed has a service of each kind and way of forwarding.
func mixed(backends ...lb.Backend) lb.Snapshot {
	var s lb.Snapshot
	for i, k := range kinds {
		dr := k.snapshot(lb.RoundRobin, backends...)
		nat := k.nat(backends...)
		nat.Services[0].VIP.Addr = netip.AddrPortFrom(k.of(natVIP), vip.Port())
		full := k.fullnat(backends...)
		full.Services[0].VIP.Addr = netip.AddrPortFrom(k.of(fullNATVIP), vip.Port())
		for j, v := range []*lb.Service{&dr.Services[0], &nat.Services[0], &full.Services[0]} {
			v.Name = fmt.Sprint(k, j)
			for n := range v.Backends {
				v.Backends[n].ID += lb.BackendID(100 * (3*i + j))
			}
			if i%2 == 0 {
				v.L4.Persist = lb.Persistence{Timeout: 100 * time.Second, Bits4: 31}
			}
			s.Services = append(s.Services, *v)
		}
		s.Revision = full.Revision
	}
	return s
}

// Whatever happens, on several CPUs at a time: a backend's load is the number of
// its live entries.
func TestLoadsAreAlwaysTheLiveEntries(t *testing.T) {
	const workers = 4
	batches, steps := 10, 50_000
	if testing.Short() {
		batches = 3
	}
	r := newRig(t)
	r.options.MaxFlows = 1 << 9 // it is full at times
	r.empty()
	all := backends(4)
	r.apply(mixed(all...))
	packets := storm(150)
	seed := rand.Uint64()
	for batch := range batches {
		done := make(chan struct{})
		var disorder, storms sync.WaitGroup
		disorder.Go(func() { r.disturb(rand.New(rand.NewPCG(seed, uint64(batch))), all, done) })
		for worker := range workers {
			storms.Go(func() {
				if err := r.runAll(packets, steps, rand.New(rand.NewPCG(seed+1, uint64(batch*workers+worker)))); err != nil {
					t.Error(err)
				}
			})
		}
		storms.Wait()
		close(done)
		disorder.Wait()
		if err := r.recount(); err != nil {
			t.Fatalf("seed %d, batch %d: %v", seed, batch, err)
		}
	}
	met := map[string]uint64{}
	for _, name := range []string{"NEW_FLOW", "KNOWN_FLOW", "MOVED_FLOW", "ADOPTED", "DEGRADED", "NO_ROOM", "REPLY"} {
		if met[name] = r.packets(name); met[name] == 0 {
			t.Errorf("the test means little: no packet met %s", name)
		}
	}
	t.Logf("%d steps: %v", batches*steps*workers, met)
	r.apply(lb.Snapshot{Revision: 1 << 30})
	r.age(DefaultTimeouts.TCP + time.Second)
	r.sweep()
	if n := r.entries(); n != 0 {
		t.Errorf("%d entries are left when all is over", n)
	}
	if err := r.recount(); err != nil {
		t.Error(err)
	}
	for slot, used := range r.state.slots.used {
		if used {
			t.Errorf("slot %d is in use when all is over", slot)
		}
	}
}

// runAll sends random packets of these.
func (r *rig) runAll(packets [][]byte, steps int, random *rand.Rand) error {
	return r.ns.Do(func() error {
		for range steps {
			if _, err := r.run(packets[random.IntN(len(packets))]); err != nil {
				return err
			}
		}
		return nil
	})
}

// disturb sweeps, lets time pass, and changes backends, until done is closed.
func (r *rig) disturb(random *rand.Rand, all []lb.Backend, done chan struct{}) {
	changes := []func(*lb.Backend){
		func(*lb.Backend) {}, down, draining, disabled,
		func(b *lb.Backend) { b.Weight = 0 },
		func(b *lb.Backend) { b.Upper = 20 },
	}
	for {
		select {
		case <-done:
			return
		default:
		}
		switch random.IntN(4) {
		case 0:
			var some []lb.Backend
			for _, b := range all {
				if random.IntN(5) > 0 {
					some = append(some, with(b, changes[random.IntN(len(changes))]))
				}
			}
			r.apply(mixed(some...))
		case 1:
			r.age(time.Duration(random.IntN(100)) * time.Second)
		default:
			ok(r, r.Sweep())
		}
	}
}

// A backend is OVERLOADED from Upper flows on until it has fewer than Lower, or
// than three quarters of Upper, and at once by a change of the thresholds.
func TestThresholdsMarkABackend(t *testing.T) {
	r := newRig(t)
	limits := func(upper, lower uint32) {
		t.Helper()
		r.apply(snapshot(lb.RoundRobin, with(backend(1), func(b *lb.Backend) { b.Upper, b.Lower = upper, lower })))
	}
	check := func(when string, want bool) {
		t.Helper()
		var b xdpBackend
		ok(t, r.objects.Backends.Lookup(r.state.services[0].find(1).slot, &b))
		if got := b.Flags&xdpBackendFlagOVERLOADED != 0; got != want || b.Flags&xdpBackendFlagFORWARDS == 0 {
			t.Errorf("%s: flags %d, want it overloaded %v", when, b.Flags, want)
		}
	}
	begin := func(first, last int) {
		for port := first; port <= last; port++ {
			r.send(ack(port))
		}
	}
	// keep lets all other flows expire.
	keep := func(first, last int) {
		r.age(DefaultTimeouts.TCP - time.Second)
		begin(first, last)
		r.age(2 * time.Second)
		r.sweep()
	}
	limits(8, 0)
	begin(1, 7)
	check("7 flows of 8", false)
	begin(8, 8)
	check("8 flows", true)
	keep(1, 6)
	check("6 flows: not below three quarters", true)
	keep(1, 5)
	check("5 flows", false)
	begin(6, 7)
	check("7 flows again", false)
	limits(7, 2)
	check("7 flows, Upper lowered to 7", true)
	keep(1, 2)
	check("2 flows, not below Lower", true)
	keep(1, 1)
	check("1 flow", false)
	begin(2, 8)
	check("8 flows", true)
	limits(0, 0)
	check("no threshold", false)
	limits(20, 0)
	check("Upper of 20", false)
}
