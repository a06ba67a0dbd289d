package l4

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"net/netip"
	"os"
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

// A front line must be able to count what is in its back lines (BEHIND in bpf/types.h).
const _ = uint(511 - backLines*len(xdpReferences{}.Reference))

// maxFlows leaves a reference five bits for the tag.
const maxFlows = 1 << 26

// flowTablesVersion is counted up when the same bytes in the flow tables come to mean
// something else, as with another hash.
const flowTablesVersion = 1

// flowMaps are of no use without each other: entries, what leads to them, and what counts them.
var flowMaps = []string{
	xdpMapFlows, xdpMapFlows6, xdpMapReferenceLines, xdpMapReferenceLines6, xdpMapVacancies, xdpMapTemplates, xdpMapBackends, xdpMapLoads,
}

// sizeFlowTables gives the flow tables room for so many flows each, or for as many as those
// have that are pinned, and the programs what they must know of it. See bpf/table.h.
func sizeFlowTables(spec *ebpf.CollectionSpec, flows int, dir string) error {
	about, err := pinnedAbout(dir)
	if err != nil {
		return err
	}
	if about.Layout == 0 {
		about.Secrets = newSecrets()
	} else if flows, err = pinnedFlows(dir); err != nil {
		return err
	}
	fronts := 1 << bits.Len(uint(flows-1)/flowsPerFront)
	lines := fronts * (1 + backLines)
	for name, entries := range map[string]int{
		xdpMapFlows: flows + 1, xdpMapFlows6: flows + 1, xdpMapReferenceLines: lines, xdpMapReferenceLines6: lines,
	} {
		spec.Maps[name].MaxEntries = uint32(entries)
	}
	return errors.Join(
		spec.Variables[xdpVarFlowEntries].Set(uint32(flows)),
		spec.Variables[xdpVarPartEntries].Set(partOf(flows, spec.Maps[xdpMapVacancies].MaxEntries)),
		spec.Variables[xdpVarFrontMask].Set(uint32(fronts-1)),
		spec.Variables[xdpVarBackMask].Set(uint32(fronts*backLines-1)),
		spec.Variables[xdpVarTagMask].Set(^uint32(0)<<bits.Len(uint(flows))),
		spec.Variables[xdpVarSecrets].Set(about.Secrets))
}

// partOf is how many entries a part has, of a table for so many flows.
func partOf(flows int, vacancies uint32) uint32 {
	parts := vacancies / 2
	return (uint32(flows) + parts - 1) / parts
}

// newSecrets are factors for the hash.
func newSecrets() (secrets [10]uint64) {
	for i := range secrets {
		var b [8]byte
		rand.Read(b[:]) // never fails
		secrets[i] = binary.NativeEndian.Uint64(b[:])
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

// flowTables are what Go reads flows by: handles of its own, and how far each part of the
// tables has been used.
type flowTables struct {
	flows, flows6 *ebpf.Map
	vacancies     []xdpVacancy
}

func (m *xdpMaps) flowTables() (*flowTables, error) {
	t := &flowTables{vacancies: make([]xdpVacancy, m.Vacancies.MaxEntries())}
	err := readArray(m.Vacancies, t.vacancies)
	if err == nil {
		t.flows, err = m.Flows.Clone()
	}
	if err == nil {
		t.flows6, err = m.Flows6.Clone()
	}
	if err != nil {
		t.close()
		return nil, fmt.Errorf("open flow tables: %w", err)
	}
	return t, nil
}

func (t *flowTables) close() {
	t.flows.Close() // of nil, nothing
	t.flows6.Close()
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
	err := eachUsed(t.flows, t.vacancies[:parts], func(n uint32, e *xdpEntry4) bool {
		return e.Flow.Owner == 0 || visit(flowEntry{false, n, e.Key.six(), e.Flow.six()})
	})
	if err != nil {
		return err
	}
	return eachUsed(t.flows6, t.vacancies[parts:], func(n uint32, e *xdpEntry6) bool {
		return e.Flow.Owner == 0 || visit(flowEntry{true, n, e.Key, e.Flow})
	})
}

// window is how many bytes of a table are mapped at a time, so that to list a large one
// takes no more memory than a small one.
const window = 1 << 20

// eachUsed visits the entries of one table that ever were used. See bpf/vacancy.h.
func eachUsed[E xdpEntry4 | xdpEntry6](table *ebpf.Map, parts []xdpVacancy, visit func(uint32, *E) bool) error {
	size := int(unsafe.Sizeof(*new(E)))
	entries := partOf(int(table.MaxEntries())-1, 2*uint32(len(parts)))
	for part, v := range parts {
		first := part*int(entries) + 1 // none has number 0
		for end := first + int(v.Used); first < end; {
			n := min(end-first, window/size)
			if err := mapped(table, first*size, n*size, func(memory []byte) bool {
				for i, e := range unsafe.Slice((*E)(unsafe.Pointer(&memory[0])), n) {
					if !visit(uint32(first+i), &e) {
						return false
					}
				}
				return true
			}); err != nil {
				return err
			}
			first += n
		}
	}
	return nil
}

// mapped lets visit look at the bytes of a map from offset on, where they lie. If that
// returns false, so is errStop.
func mapped(m *ebpf.Map, offset, bytes int, visit func([]byte) bool) error {
	skip := offset % os.Getpagesize()
	memory, err := unix.Mmap(m.FD(), int64(offset-skip), skip+bytes, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map flow table: %w", err)
	}
	defer unix.Munmap(memory)
	if !visit(memory[skip:]) {
		return errStop
	}
	return nil
}

// six is the tuple with mapped addresses.
func (k xdpTuple4) six() xdpTuple6 {
	return xdpTuple6{Src: mapped4(k.Src), Dst: mapped4(k.Dst), Sport: k.Sport, Dport: k.Dport, Proto: k.Proto}
}

// six is the flow with mapped addresses. One that it does not have stays 0.
func (f xdpFlow4) six() xdpFlow {
	out := xdpFlow{
		Owner: f.Owner, LastSeen: f.LastSeen, Delta: f.Delta, Vport: f.Vport, Pport: f.Pport,
		Ifindex: f.Ifindex, Mac: f.Mac, Joint: f.Joint, Shift: f.Shift, Untold: f.Untold,
	}
	if f.Vip != 0 {
		out.Vip = mapped4(f.Vip)
	}
	if f.Peer != 0 {
		out.Peer = mapped4(f.Peer)
	}
	return out
}

func mapped4(word uint32) xdpAddress { return xdpAddress{Word: [4]uint32{2: mappedWord, 3: word}} }

// mappedWord is the third word of ::ffff:a.b.c.d.
var mappedWord = toAddress(netip.AddrFrom4([4]byte{})).Word[2]
