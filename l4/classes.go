package l4

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

func (p *Plane) writeEntries(entries []entry, ids []uint16) error {
	for _, e := range entries {
		key := toPrefix(e.prefix, xdpClass(ids[e.class]))
		if err := put(p.objects.Prefixes, p.state.keys.prefixes, key, p.valueOf(e.service)); err != nil {
			return fmt.Errorf("write %s of service %q: %w", e.prefix, e.service, err)
		}
	}
	return nil
}

// writeRules gives the new rules classes of their own, so that no packet can
// meet a mixture: it sees the classes of before, or all of the new ones. The
// kernel waits for packets under way after the change, so none looks for the
// old classes any more.
func (p *Plane) writeRules(d *destinations) error {
	k := &p.state.keys
	k.known = false
	if len(k.current) > 0 {
		k.old = append(k.old, k.current[1:]...)
	}
	k.current = nil
	if d.rules.classes == 0 {
		err := p.objects.PortClasses.Delete(uint32(0))
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("delete classes of ports: %w", err)
		}
		k.rules, k.known = d.rules, true
		return nil
	}
	ids := []uint16{uint16(xdpClassNO_PORTS)}
	for range d.rules.classes {
		id, ok := k.classes.take()
		if !ok {
			return errors.New("take class of ports: all are in use")
		}
		ids = append(ids, uint16(id))
	}
	k.old = append(k.old, ids[1:]...) // until they are in force
	if err := p.writeEntries(d.rules.entries, ids); err != nil {
		return err
	}
	if err := p.switchClasses(d.rules.elements(ids)); err != nil {
		return fmt.Errorf("write classes of ports: %w", err)
	}
	k.old = k.old[:len(k.old)-d.rules.classes]
	k.rules, k.current, k.known = d.rules, ids, true
	return nil
}

func (p *Plane) switchClasses(elements [][portsEach]uint16) error {
	classes, err := ebpf.NewMap(p.objects.classes)
	if err != nil {
		return err
	}
	defer classes.Close() // the map of maps holds it
	index := make([]uint32, len(elements))
	for i := range index {
		index[i] = uint32(i)
	}
	if _, err := classes.BatchUpdate(index, elements, nil); err != nil {
		return err
	}
	return p.objects.PortClasses.Put(uint32(0), uint32(classes.FD()))
}
