package l4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// What bpf/types.h says of a front line's version.
const (
	lockedBit  = 1
	behindBits = 511 << 1
	oneBehind  = 2
)

func (r *rig) secrets() (secrets [10]uint64) {
	r.Helper()
	ok(r, r.objects.spec.Variables[xdpVarSecrets].Get(&secrets))
	return secrets
}

// hashOf is what the program makes of a key.
func (r *rig) hashOf(e flowEntry) uint64 {
	r.Helper()
	secrets := r.secrets()
	words := make([]byte, binary.Size(e.tuple))
	_, err := binary.Encode(words, binary.NativeEndian, e.tuple)
	ok(r, err)
	if !e.six { // the addresses' last words, and what follows them
		words = append(append(words[12:16:16], words[28:32]...), words[32:]...)
	}
	sum := uint64(0)
	for i := 0; len(words) > 0; i, words = i+1, words[4:] {
		sum += uint64(binary.NativeEndian.Uint32(words)) * secrets[i]
	}
	sum = (sum ^ sum>>32) * 0xc4ceb9fe1a85ec53
	return sum ^ sum>>32
}

// checkTables reports what in the flow tables is not as it must be while no packet is
// under way: each entry that is not free is referred to once, from where its key leads, or
// was given up; no key is there twice; and what is free is in the list, once.
func (r *rig) checkTables() error {
	r.Helper()
	entries := map[bool]map[uint32]flowEntry{false: {}, true: {}}
	r.eachFlow(func(e flowEntry) { entries[e.six][e.number] = e })
	four := checkTable[xdpEntry4](r, false, entries[false])
	six := checkTable[xdpEntry6](r, true, entries[true])
	return errors.Join(four, six)
}

func checkTable[E xdpEntry4 | xdpEntry6](r *rig, six bool, entries map[uint32]flowEntry) error {
	family, table, lines := uint32(0), r.objects.Flows, r.objects.ReferenceLines
	if six {
		family, table, lines = 1, r.objects.Flows6, r.objects.ReferenceLines6
	}
	referred, err := r.checkReferences(lines, entries)
	if err != nil {
		return err
	}
	tuples := map[xdpTuple6]bool{}
	for n, e := range entries {
		if !referred[n] && e.flow.id() != 0 {
			return fmt.Errorf("entry %d of %+v is live, and not referred to", n, e.tuple)
		}
		if referred[n] && tuples[e.tuple] {
			return fmt.Errorf("%+v is there twice", e.tuple)
		}
		tuples[e.tuple] = tuples[e.tuple] || referred[n]
	}
	last := table.MaxEntries() - 1
	parts := r.objects.Vacancies.MaxEntries() / 2
	size := partOf(int(last), 2*parts)
	free := map[uint32]bool{}
	for part := range parts {
		var v xdpVacancy
		ok(r, r.objects.Vacancies.Lookup(family*parts+part, &v))
		for i := uint32(v.First); i < size && part*size+i < last; {
			n := part*size + i + 1
			if _, used := entries[n]; used || free[n] {
				return fmt.Errorf("entry %d is in the list of free ones, and in use or there twice", n)
			}
			free[n] = true
			var e E
			ok(r, table.Lookup(n, &e))
			next := nextOf(e)
			if (next == 0) != (uint64(i) >= v.Used) {
				return fmt.Errorf("%d entries of part %d were used, and that at index %d has %d as the next", v.Used, part, i, next)
			}
			if i++; next != 0 {
				i = next - 1
			}
		}
	}
	if len(free)+len(entries) != int(last) {
		return fmt.Errorf("%d free entries and %d others, of %d", len(free), len(entries), last)
	}
	return nil
}

func nextOf(e any) uint32 {
	if e, is := e.(xdpEntry6); is {
		return e.Next
	}
	return e.(xdpEntry4).Next
}

// checkReferences returns the numbers of the entries that are referred to.
func (r *rig) checkReferences(table *ebpf.Map, entries map[uint32]flowEntry) (map[uint32]bool, error) {
	mask := r.tagMask()
	lines := make([]xdpReferences, table.MaxEntries())
	ok(r, readArray(table, lines))
	fronts := len(lines) / (1 + backLines)
	referred, inBack := map[uint32]bool{}, make([]uint32, fronts)
	for i, line := range lines {
		if line.Version&lockedBit != 0 {
			return nil, fmt.Errorf("line %d is locked", i)
		}
		for _, reference := range line.Reference {
			if reference == 0 {
				continue
			}
			n := reference &^ mask
			e, is := entries[n]
			hash := r.hashOf(e)
			at := int(hash % uint64(fronts))
			if i >= fronts {
				inBack[at]++
				at = fronts + int(hash%uint64(fronts*backLines))
			}
			switch {
			case !is:
				return nil, fmt.Errorf("line %d refers to entry %d, which is free", i, n)
			case referred[n]:
				return nil, fmt.Errorf("entry %d is referred to twice", n)
			case at != i || uint32(hash>>32)&mask != reference&mask:
				return nil, fmt.Errorf("line %d refers by %#x to an entry whose key's hash is %#x", i, reference, hash)
			}
			referred[n] = true
		}
	}
	for i, want := range inBack {
		if got := lines[i].Version & behindBits >> 1; got != want {
			return nil, fmt.Errorf("front line %d tells of %d references behind it, which are %d", i, got, want)
		}
	}
	return referred, nil
}

// CPUs that begin the same flows at the same time make one of each. Unlike packets, these
// runs of the program can be interrupted for long, so that others find a bin locked: one in
// ten thousand may be of that fate.
func TestFlowsBegunAtOnceAreOne(t *testing.T) {
	const flows, workers, rounds = 400, 4, 25
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		r := newRig(t)
		r.options.MaxFlows = 1 << 12 // 25 references to a front line
		r.empty()
		r.apply(k.nat(backends(2)...))
		var syns [][]byte
		for port := 1; port <= flows; port++ {
			syns = append(syns, k.from(port, "SYN").bytes())
		}
		for range rounds {
			var wg sync.WaitGroup
			start := make(chan struct{})
			for range workers {
				wg.Go(func() {
					<-start
					if err := r.hammer(syns); err != nil {
						t.Error(err)
					}
				})
			}
			close(start)
			wg.Wait()
			ok(t, r.recount())
			if got := r.service("web").Counters.Active; got != flows {
				t.Fatalf("%s: %d flows are active, want %d", k, got, flows)
			}
			r.forget()
			ok(t, r.checkTables())
		}
		if n := r.packets("DEGRADED") + r.packets("NO_ROOM"); n > flows*workers*rounds/10_000 {
			t.Errorf("%s: %d packets found no room", k, n)
		}
		r.leave()
	}
}

// hammer is burst for who cannot end the test.
func (r *rig) hammer(packets [][]byte) error {
	return r.ns.Do(func() error {
		for _, packet := range packets {
			if _, err := r.run(packet); err != nil {
				return err
			}
		}
		return nil
	})
}

// sameLines returns so many clients' ports that lead to the same two lines.
func (r *rig) sameLines(k kind, want int) (ports []int) {
	r.Helper()
	lines := uint64(r.objects.ReferenceLines.MaxEntries()) / (1 + backLines) * backLines
	r.send(k.from(1, "SYN").bytes())
	var first flowEntry
	r.eachFlow(func(e flowEntry) { first = e })
	at := r.hashOf(first) % lines
	for port := 1; port < 1<<16 && len(ports) < want; port++ {
		e := first
		e.tuple.Sport = toPort(uint16(port))
		if r.hashOf(e)%lines == at {
			ports = append(ports, port)
		}
	}
	return ports
}

// What finds its front line full goes to its back line. When that is full, too, nothing new
// is taken, and nothing is lost by that; when flows have left, all is as it was.
func TestAKeyHasTwoLines(t *testing.T) {
	const most = 2 * len(xdpReferences{}.Reference)
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		r := newRig(t)
		r.options.MaxFlows = 1 << 10
		r.empty()
		r.apply(k.snapshot(lb.RoundRobin, backends(2)...))
		ports := r.sameLines(k, most+2)
		for round := range 2 {
			for i, port := range ports {
				want := "NEW_FLOW"
				if round == 0 && i == 0 {
					want = "KNOWN_FLOW"
				}
				if i >= most {
					want = "DEGRADED"
				}
				if got := r.send(k.from(port, "SYN").bytes()); got.verdict != want {
					t.Fatalf("%s: SYN of flow %d of the lines: %s, want %s", k, i+1, got.verdict, want)
				}
			}
			for _, port := range ports[:most] {
				if got := r.send(k.from(port, "ACK").bytes()); got.verdict != "KNOWN_FLOW" {
					t.Errorf("%s: %s, want KNOWN_FLOW", k, got.verdict)
				}
			}
			if n := r.entries(); n != most {
				t.Errorf("%s: %d entries, want %d", k, n, most)
			}
			ok(t, r.checkTables())
			r.forget()
			ok(t, r.checkTables())
		}
		r.leave()
	}
}

// Flow tables whose maps are not all of one making are not used: flows would be lost in
// them. What nothing is attached to any more is begun anew.
func TestFlowTablesAreWholeOrNew(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	r.send(syn(1))
	secrets := r.secrets()
	ok(t, r.Plane.Close())
	refused := func(without string) {
		t.Helper()
		ok(t, os.Remove(filepath.Join(r.options.PinDir, without)))
		if _, err := Open(r.options); !errors.Is(err, ErrIncompatible) || !strings.Contains(err.Error(), without) {
			t.Errorf("without %s: %v, want it to be ErrIncompatible and to name that", without, err)
		}
	}
	refused(xdpMapReferenceLines)
	refused(xdpMapAboutMaps)
	left := filepath.Join(r.options.PinDir, xdpMapFlows) // by a Flush that is killed
	flows, err := ebpf.LoadPinnedMap(left, nil)
	ok(t, err)
	defer flows.Close()
	ok(t, Flush(r.options.PinDir))
	ok(t, os.MkdirAll(r.options.PinDir, 0o700))
	ok(t, flows.Pin(left))
	r.options.MaxFlows /= 2
	r.reopen()
	ok(t, r.checkTables())
	if n, size := r.entries(), int(r.objects.Flows.MaxEntries())-1; n != 0 || size != r.options.MaxFlows {
		t.Errorf("%d flows in tables for %d, want none in new ones for %d", n, size, r.options.MaxFlows)
	}
	if r.secrets() == secrets {
		t.Error("new tables have the secrets of the old ones")
	}
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	if got := r.send(syn(1)); got.verdict != "NEW_FLOW" {
		t.Errorf("%s, want NEW_FLOW", got.verdict)
	}
	secrets = r.secrets()
	r.reopen()
	if got := r.send(syn(1)); got.verdict != "KNOWN_FLOW" || r.secrets() != secrets {
		t.Errorf("%s after a restart, want KNOWN_FLOW by the same secrets", got.verdict)
	}
	ok(t, r.recount())
}

// All entries are used before one is missing, and again once they were free.
func TestATableTakesAsManyFlowsAsItsSize(t *testing.T) {
	k := kind{proto: lb.TCP}
	for _, size := range []int{1, 2, 15, 16, 17, 33, 100} {
		r := newRig(t)
		r.options.MaxFlows = size
		r.empty()
		r.apply(k.snapshot(lb.RoundRobin, backends(2)...))
		for range 3 {
			for port := 1; port <= size+1; port++ {
				want := "NEW_FLOW"
				if port > size {
					want = "DEGRADED"
				}
				if got := r.send(k.from(port, "SYN").bytes()); got.verdict != want {
					t.Errorf("flow %d of %d: %s, want %s", port, size, got.verdict, want)
				}
			}
			ok(t, r.checkTables())
			r.age(2 * time.Minute)
			r.forget()
		}
		stats, err := r.Stats()
		ok(t, err)
		if got := stats.FlowTables[0].Size; got != uint64(size) {
			t.Errorf("the table's size is %d, want %d", got, size)
		}
		r.leave()
	}
}
