package l4

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// state is what stands in the maps, as Go remembers it: it changes right after
// the map does. What a crash left half-way is found again by readState.
type state struct {
	revision uint64
	services []*service // in the order of the last Snapshot
	filter   []uint64

	indices, tables, slots *pool

	oldTables []uint32  // in no service any more; may still be read by a packet
	leaving   []*member // in no table any more, their ID in place
	retiring  []*member // without ID; once they have no flows, their counters are kept and their slots free

	oldIndices []uint32 // of services that are gone, needed until their backends are
}

// service is a service in the maps.
type service struct {
	key     xdpVip
	value   xdpService
	name    string
	known   bool   // whether sum is that of the table
	sum     uint64 // of the table's content
	members []*member

	persists bool // clients stick to its backends
}

// member is a backend in its slot.
type member struct {
	id      lb.BackendID
	name    string
	slot    uint32
	backend xdpBackend // without the program's own flags
	quiet   bool       // no packet is under way that has read its ID
}

func (s *state) find(key xdpVip) *service {
	i := slices.IndexFunc(s.services, func(v *service) bool { return v.key == key })
	if i < 0 {
		return nil
	}
	return s.services[i]
}

func (s *service) find(id lb.BackendID) *member {
	i := slices.IndexFunc(s.members, func(m *member) bool { return m.id == id })
	if i < 0 {
		return nil
	}
	return s.members[i]
}

// readState finds out what stands in the maps.
func readState(maps *xdpMaps) (*state, error) {
	s := &state{
		indices: newPool(maps.Turns.MaxEntries()),
		tables:  newPool(maps.Tables.MaxEntries()),
		slots:   newPool(maps.Backends.MaxEntries()),
	}
	s.tables.mark(noTable)
	var about xdpAbout
	if err := maps.AboutMaps.Lookup(uint32(0), &about); err != nil {
		return nil, fmt.Errorf("read revision: %w", err)
	}
	s.revision = about.Revision
	for _, read := range []func(*xdpMaps) error{s.readServices, s.readTables, s.readBackends, s.readFilter} {
		if err := read(maps); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *state) readServices(maps *xdpMaps) error {
	var key xdpVip
	var value xdpService
	entries := maps.Services.Iterate()
	for entries.Next(&key, &value) {
		var name xdpName
		if err := maps.ServiceNames.Lookup(value.Index, &name); err != nil {
			return fmt.Errorf("read name of service %s: %w", fromVIP(key), err)
		}
		s.indices.mark(value.Index)
		s.tables.mark(value.Table)
		var persist xdpPersistence
		if err := maps.Persistences.Lookup(value.Index, &persist); err != nil {
			return fmt.Errorf("read persistence of service %s: %w", fromVIP(key), err)
		}
		s.services = append(s.services, &service{key: key, value: value, name: fromName(name), persists: persist.Timeout != 0})
	}
	slices.SortFunc(s.services, func(a, b *service) int { return cmp.Compare(a.value.Index, b.value.Index) })
	if err := entries.Err(); err != nil {
		return fmt.Errorf("read services: %w", err)
	}
	return nil
}

// readTables finds tables that no service names.
func (s *state) readTables(maps *xdpMaps) error {
	for i := range maps.Tables.MaxEntries() {
		if s.tables.used[i] {
			continue
		}
		var id ebpf.MapID
		if maps.Tables.Lookup(i, &id) == nil {
			s.tables.mark(i)
			s.oldTables = append(s.oldTables, i)
		}
	}
	return nil
}

func (s *state) readBackends(maps *xdpMaps) error {
	byIndex := map[uint32]*service{}
	for _, v := range s.services {
		byIndex[v.value.Index] = v
	}
	values := make([]xdpBackend, maps.Backends.MaxEntries())
	if err := readArray(maps.Backends, values); err != nil {
		return fmt.Errorf("read backends: %w", err)
	}
	for i, b := range values {
		if b.Given == 0 {
			continue
		}
		slot := uint32(i)
		var name xdpName
		if err := maps.BackendNames.Lookup(slot, &name); err != nil {
			return fmt.Errorf("read name of backend %d: %w", b.Given, err)
		}
		s.slots.mark(slot)
		b.Flags &= ownFlags
		m := &member{id: lb.BackendID(b.Given), name: fromName(name), slot: slot, backend: b}
		switch v := byIndex[b.Service]; {
		case b.Id == 0:
			s.retiring = append(s.retiring, m)
			s.keepIndex(b.Service)
		case v == nil:
			s.leaving = append(s.leaving, m)
			s.keepIndex(b.Service)
		default:
			v.members = append(v.members, m)
		}
	}
	return nil
}

// keepIndex keeps a gone service's index from being given away.
func (s *state) keepIndex(index uint32) {
	if !s.indices.used[index] {
		s.indices.mark(index)
		s.oldIndices = append(s.oldIndices, index)
	}
}

func (s *state) readFilter(maps *xdpMaps) error {
	s.filter = make([]uint64, maps.Filter.MaxEntries())
	if err := readArray(maps.Filter, s.filter); err != nil {
		return fmt.Errorf("read filter: %w", err)
	}
	return nil
}

// readArray reads a whole array map.
func readArray[T any](m *ebpf.Map, values []T) error {
	var cursor ebpf.MapBatchCursor
	keys := make([]uint32, len(values))
	n, err := m.BatchLookup(&cursor, keys, values, nil)
	if err == nil || n == len(values) {
		return nil
	}
	return err
}
