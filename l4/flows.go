package l4

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"net/netip"
	"path/filepath"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// There is a front line of references for so many flows that a table has room for, and
// backLines times as many back lines. See bpf/table.h.
const (
	flowsPerFront = 128
	backLines     = 32
)

// flowTablesVersion is counted up when the same bytes in the flow tables come to mean
// something else, as with another hash.
const flowTablesVersion = 1

// flowMaps are of no use without each other.
var flowMaps = []string{xdpMapFlows, xdpMapFlows6, xdpMapBins, xdpMapBins6, xdpMapVacancies}

// sizeFlowTables gives the flow tables room for so many flows each, or for as many as those
// have that are pinned, and the programs what they must know of it. See bpf/table.h.
func sizeFlowTables(spec *ebpf.CollectionSpec, flows int, dir string) error {
	about, err := pinnedAbout(dir)
	if err != nil {
		return err
	}
	seed := about.Seed
	if about.Layout == 0 {
		rand.Read(seed[:]) // never fails
	} else if flows, err = pinnedFlows(dir); err != nil {
		return err
	}
	fronts := 1 << bits.Len(uint(flows-1)/flowsPerFront)
	lines := fronts * (1 + backLines)
	for name, entries := range map[string]int{
		xdpMapFlows: flows + 1, xdpMapFlows6: flows + 1, xdpMapBins: lines, xdpMapBins6: lines,
	} {
		spec.Maps[name].MaxEntries = uint32(entries)
	}
	return errors.Join(
		spec.Variables[xdpVarFlowEntries].Set(uint32(flows)),
		spec.Variables[xdpVarPartEntries].Set(partOf(flows, spec.Maps[xdpMapVacancies].MaxEntries)),
		spec.Variables[xdpVarFrontMask].Set(uint32(fronts-1)),
		spec.Variables[xdpVarTagMask].Set(^uint32(0)<<bits.Len(uint(flows))),
		spec.Variables[xdpVarSeed].Set(seed),
		spec.Variables[xdpVarSecrets].Set(secretsOf(seed)))
}

// partOf is how many entries a part has, of a table for so many flows.
func partOf(flows int, vacancies uint32) uint32 {
	parts := vacancies / 2
	return (uint32(flows) + parts - 1) / parts
}

// secretsOf are the factors of the hash.
func secretsOf(seed [32]byte) (secrets [10]uint64) {
	for i := range secrets {
		sum := sha256.Sum256(append(seed[:], byte(i)))
		secrets[i] = binary.NativeEndian.Uint64(sum[:])
	}
	return secrets
}

// pinnedFlows is how many flows each pinned table takes. All their maps must be there.
func pinnedFlows(dir string) (flows int, err error) {
	for _, name := range flowMaps {
		m, err := ebpf.LoadPinnedMap(filepath.Join(dir, name), nil)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, fmt.Errorf("%w (%s is missing)", ErrIncompatible, name)
		}
		if err != nil {
			return 0, fmt.Errorf("open pinned flow table: %w", err)
		}
		if name == xdpMapFlows {
			flows = int(m.MaxEntries()) - 1
		}
		if err := m.Close(); err != nil {
			return 0, fmt.Errorf("close pinned flow table: %w", err)
		}
	}
	return flows, nil
}

// flowTables are what Go reads flows by: the tables' own memory.
type flowTables struct {
	flows, flows6 []byte
	entries       uint32 // of a part
	vacancies     []xdpVacancy
}

// mapFlows maps the tables, until close.
func (m *xdpMaps) mapFlows() (*flowTables, error) {
	t := &flowTables{
		entries:   partOf(int(m.Flows.MaxEntries())-1, m.Vacancies.MaxEntries()),
		vacancies: make([]xdpVacancy, m.Vacancies.MaxEntries()),
	}
	err := readArray(m.Vacancies, t.vacancies)
	if err == nil {
		t.flows, err = mapArray(m.Flows)
	}
	if err == nil {
		t.flows6, err = mapArray(m.Flows6)
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("map flow tables: %w", err)
	}
	return t, nil
}

func mapArray(m *ebpf.Map) ([]byte, error) {
	return unix.Mmap(m.FD(), 0, int(m.MaxEntries())*int(m.ValueSize()), unix.PROT_READ, unix.MAP_SHARED)
}

func (t *flowTables) close() {
	for _, memory := range [][]byte{t.flows, t.flows6} {
		if memory != nil {
			unix.Munmap(memory)
		}
	}
}

// flowEntry is one of either flow table, at its number there. IPv4 addresses are mapped.
type flowEntry struct {
	six    bool
	number uint32
	tuple  xdpTuple6
	flow   xdpFlow
}

// each visits all entries that are not free, until visit returns false, which is errStop.
// What comes or goes meanwhile may be missed, or be half of it one flow and half another.
func (t *flowTables) each(visit func(flowEntry) bool) error {
	parts := len(t.vacancies) / 2
	err := eachUsed(t.flows, t.entries, t.vacancies[:parts], func(n uint32, e *xdpEntry4) bool {
		return e.Flow.Owner == 0 || visit(flowEntry{false, n, e.Key.six(), e.Flow.six()})
	})
	if err != nil {
		return err
	}
	return eachUsed(t.flows6, t.entries, t.vacancies[parts:], func(n uint32, e *xdpEntry6) bool {
		return e.Flow.Owner == 0 || visit(flowEntry{true, n, e.Key, e.Flow})
	})
}

// eachUsed visits the entries of one table that ever were used. See bpf/vacancy.h.
func eachUsed[E xdpEntry4 | xdpEntry6](memory []byte, entries uint32, parts []xdpVacancy, visit func(uint32, *E) bool) error {
	all := unsafe.Slice((*E)(unsafe.Pointer(unsafe.SliceData(memory))), uintptr(len(memory))/unsafe.Sizeof(*new(E)))
	for part, v := range parts {
		first := uint32(part)*entries + 1 // none has number 0
		for n := first; n < first+uint32(v.Used); n++ {
			if e := all[n]; !visit(n, &e) {
				return errStop
			}
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
