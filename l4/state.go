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
	keys     keys
	servers  map[xdpServerKey]xdpServer
	filter   []uint64
	shortest [2]uint32 // see its map

	indices, tables, slots *pool

	oldTables []uint32  // in no service any more; may still be read by a packet
	leaving   []*member // in no table any more, their ID in place
	retiring  []*member // without ID; once they have no flows, their counters are kept and their slots free

	oldIndices []uint32 // of services that are gone, needed until their backends are
}

// service is a service in the maps. Its name is what it is known by, whatever
// clients address.
type service struct {
	value   xdpService
	name    string
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

func (s *state) find(name string) *service {
	i := slices.IndexFunc(s.services, func(v *service) bool { return v.name == name })
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
		indices: newPool(maps.ServiceNames.MaxEntries()),
		tables:  newPool(maps.Tables.MaxEntries()),
		slots:   newPool(maps.Backends.MaxEntries()),
	}
	s.tables.mark(noTable)
	var about xdpAbout
	if err := maps.AboutMaps.Lookup(uint32(0), &about); err != nil {
		return nil, fmt.Errorf("read revision: %w", err)
	}
	s.revision = about.Revision
	for _, read := range []func(*xdpMaps) error{s.readKeys, s.readServers, s.readServices, s.readTables, s.readBackends, s.readFilter} {
		if err := read(maps); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// readServices finds the services that keys lead to.
func (s *state) readServices(maps *xdpMaps) error {
	byIndex := map[uint32]*service{}
	for _, value := range s.keys.vips {
		s.readService(byIndex, value)
	}
	for key, value := range s.keys.prefixes {
		if key.Class != xdpClassALL_PORTS {
			s.readService(byIndex, value)
		}
	}
	slices.SortFunc(s.services, func(a, b *service) int { return cmp.Compare(a.value.Index, b.value.Index) })
	for _, v := range s.services {
		var name xdpName
		if err := maps.ServiceNames.Lookup(v.value.Index, &name); err != nil {
			return fmt.Errorf("read name of service %d: %w", v.value.Index, err)
		}
		var persist xdpPersistence
		if err := maps.Persistences.Lookup(v.value.Index, &persist); err != nil {
			return fmt.Errorf("read persistence of service %d: %w", v.value.Index, err)
		}
		v.name, v.persists = fromName(name), persist.Timeout != 0
	}
	return nil
}

// readService notes the service that a key leads to. A crash may have left keys
// of one service with different tables: any of them will do until the next
// Apply, which makes them all lead to one.
func (s *state) readService(byIndex map[uint32]*service, value xdpService) {
	if value.Flags&xdpServiceFlagNOBODY != 0 {
		return
	}
	v := byIndex[value.Index]
	if v == nil {
		v = &service{value: value}
		byIndex[value.Index] = v
		s.indices.mark(value.Index)
		s.services = append(s.services, v)
	} else if !s.tables.used[value.Table] {
		s.oldTables = append(s.oldTables, value.Table)
	}
	s.tables.mark(value.Table)
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
	if err := readArray(maps.Shortest, s.shortest[:]); err != nil {
		return fmt.Errorf("read lengths of prefixes: %w", err)
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
