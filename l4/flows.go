package l4

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// flowsPerBin is how many flows a bin has when the table is full, on average. It has room
// for 30, which one flow in some ten thousand finds taken then.
const flowsPerBin = 16

// sizeFlowTables gives the flow tables room for so many flows each, or for as many as those
// have that are pinned, and the programs what they must know of it. See bpf/table.h.
func sizeFlowTables(spec *ebpf.CollectionSpec, flows int, dir string) error {
	pinned, err := ebpf.LoadPinnedMap(filepath.Join(dir, xdpMapFlows), nil)
	if err == nil {
		flows = int(pinned.MaxEntries()) - 1
		if err := pinned.Close(); err != nil {
			return fmt.Errorf("close pinned flow table: %w", err)
		}
	}
	bins := 1 << bits.Len(uint(flows-1)/flowsPerBin)
	for name, entries := range map[string]int{
		xdpMapFlows: flows + 1, xdpMapFlows6: flows + 1, xdpMapBins: 2 * bins, xdpMapBins6: 2 * bins,
	} {
		spec.Maps[name].MaxEntries = uint32(entries)
	}
	seed, err := seedOf(dir)
	if err != nil {
		return err
	}
	return errors.Join(
		spec.Variables[xdpVarFlowEntries].Set(uint32(flows)),
		spec.Variables[xdpVarBinMask].Set(uint32(bins-1)),
		spec.Variables[xdpVarTagMask].Set(^uint32(0)<<bits.Len(uint(flows))),
		spec.Variables[xdpVarSeed].Set(seed))
}

// seedOf returns what the hashes of the pinned flow tables begin with, or a new such
// number, never 0. It is written with the layout.
func seedOf(dir string) (uint64, error) {
	pinned, err := ebpf.LoadPinnedMap(filepath.Join(dir, xdpMapAboutMaps), nil)
	if err == nil {
		defer pinned.Close()
		var about xdpAbout
		if int(pinned.ValueSize()) == binary.Size(about) {
			if err := pinned.Lookup(uint32(0), &about); err != nil {
				return 0, fmt.Errorf("read seed of the flow tables: %w", err)
			}
		}
		if about.Seed != 0 {
			return about.Seed, nil
		}
	}
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:]) | 1, nil
}

// flowTables are what Go reads flows by.
type flowTables struct {
	flows, flows6, vacancies *ebpf.Map
}

func (m *xdpMaps) flowTables() flowTables { return flowTables{m.Flows, m.Flows6, m.Vacancies} }

// flowEntry is one of either flow table, at its number there. IPv4 addresses are mapped.
type flowEntry struct {
	six    bool
	number uint32
	tuple  xdpTuple6
	flow   xdpFlow
}

// each visits all entries that are not free, until visit returns false, which is errStop.
// What comes or goes meanwhile may be missed, or be half of it one flow and half another.
func (t flowTables) each(visit func(flowEntry) bool) error {
	err := eachUsed(t.flows, t.vacancies, 0, func(n uint32, e *xdpEntry4) bool {
		return e.Flow.Owner == 0 || visit(flowEntry{false, n, e.Key.six(), e.Flow.six()})
	})
	if err != nil {
		return err
	}
	return eachUsed(t.flows6, t.vacancies, 1, func(n uint32, e *xdpEntry6) bool {
		return e.Flow.Owner == 0 || visit(flowEntry{true, n, e.Key, e.Flow})
	})
}

// eachUsed visits the entries of one table that ever were used.
func eachUsed[E xdpEntry4 | xdpEntry6](table, vacancies *ebpf.Map, family uint32, visit func(uint32, *E) bool) error {
	var v xdpVacancy
	if err := vacancies.Lookup(family, &v); err != nil {
		return fmt.Errorf("read how many flows there have been: %w", err)
	}
	const most = 4096
	batch := min(v.Used+1, most) // none has number 0
	numbers, entries := make([]uint32, batch), make([]E, batch)
	var cursor ebpf.MapBatchCursor
	for seen := uint64(0); seen <= v.Used; {
		n, err := table.BatchLookup(&cursor, numbers, entries, nil)
		for i := range n {
			if !visit(numbers[i], &entries[i]) {
				return errStop
			}
		}
		seen += uint64(n)
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// six is the tuple with mapped addresses.
func (k xdpTuple4) six() xdpTuple6 {
	return xdpTuple6{Src: mapped(k.Src), Dst: mapped(k.Dst), Sport: k.Sport, Dport: k.Dport, Proto: k.Proto}
}

// six is the flow with mapped addresses. One that it does not have stays 0.
func (f xdpFlow4) six() xdpFlow {
	out := xdpFlow{
		Owner: f.Owner, LastSeen: f.LastSeen, Delta: f.Delta, Vport: f.Vport, Pport: f.Pport,
		Ifindex: f.Ifindex, Mac: f.Mac, Joint: f.Joint, Shift: f.Shift, Untold: f.Untold,
	}
	if f.Vip != 0 {
		out.Vip = mapped(f.Vip)
	}
	if f.Peer != 0 {
		out.Peer = mapped(f.Peer)
	}
	return out
}

func mapped(word uint32) xdpAddress { return xdpAddress{Word: [4]uint32{2: mappedWord, 3: word}} }

// mappedWord is the third word of ::ffff:a.b.c.d.
var mappedWord = toAddress(netip.AddrFrom4([4]byte{})).Word[2]
