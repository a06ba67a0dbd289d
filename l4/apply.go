package l4

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"lbctl/internal/lb"
)

// Apply makes the maps say what the Snapshot's L4 services say. What is new is
// inserted before something refers to it, and what is old is no longer referred
// to, by any packet either, before it is deleted. Services that have not
// changed are not touched.
//
// A Snapshot that holds something this plane cannot do is refused whole. An
// eligible backend whose MAC address nobody answers for is left out, the rest
// is applied, and the error names it: Apply again later. Stats report the
// Snapshot's revision once it is applied whole.
func (p *Plane) Apply(ctx context.Context, s lb.Snapshot) error {
	p.applying.Lock()
	defer p.applying.Unlock()
	if p.hops == nil {
		return fmt.Errorf("apply revision %d: l4 plane: %w", s.Revision, os.ErrClosed)
	}
	want, err := plan(s)
	if err = errors.Join(err, ValidateTimeouts(s.Timeouts)); err != nil {
		return fmt.Errorf("apply revision %d: %w", s.Revision, err)
	}
	d, err := p.destinations(s, want)
	if err != nil {
		return fmt.Errorf("apply revision %d: %w", s.Revision, err)
	}
	p.keepHops(want)
	unresolved := p.resolve(ctx, want)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.names = nil
	if err := errors.Join(p.setTimeouts(s.Timeouts), p.write(want, d)); err != nil {
		return fmt.Errorf("apply revision %d: %w", s.Revision, errors.Join(err, unresolved))
	}
	if unresolved != nil {
		return fmt.Errorf("apply revision %d: %w", s.Revision, unresolved)
	}
	return p.setRevision(s.Revision)
}

// keepHops starts from the next hops that backends have: where the neighbour
// table has forgotten one, whether it lives is for the checks to say.
func (p *Plane) keepHops(want []*wanted) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range want {
		v := p.state.find(w.Name)
		if v == nil {
			continue
		}
		for _, b := range w.Backends {
			m := v.find(b.ID)
			if m != nil && m.backend.Ifindex != 0 {
				w.hops[b.ID] = hopOf(m.backend)
			}
		}
	}
}

// write goes from what is in the maps to what is wanted, in the order that
// packets need.
func (p *Plane) write(want []*wanted, d *destinations) error {
	services := make([]*service, len(want))
	for i, w := range want {
		var err error
		if services[i], err = p.insertMembers(w); err != nil {
			return fmt.Errorf("write service %q: %w", w.Name, err)
		}
	}
	servers := p.serverKeys(want, services)
	if err := p.writeServers(servers); err != nil {
		return err
	}
	// Replies of a backend may come as soon as a table names it.
	if err := p.openFilter(repliers(services)); err != nil {
		return err
	}
	if err := p.switchTables(want, services, d); err != nil {
		return err
	}
	if err := p.admit(services, d); err != nil {
		return err
	}
	if err := p.dismiss(services, d); err != nil {
		return err
	}
	if err := p.dropServers(servers); err != nil {
		return err
	}
	p.removeOthers(services)
	for i, w := range want {
		p.partMembers(services[i], w)
	}
	return p.release(want)
}

// destinations asks for the balancer's own addresses only if a prefix may have them.
func (p *Plane) destinations(s lb.Snapshot, want []*wanted) (*destinations, error) {
	var own []netip.Addr
	if hasPrefix(want) {
		var err error
		if own, err = p.hops.own(); err != nil {
			return nil, err
		}
	}
	return destinationsOf(s, want, own)
}

// insertMembers puts a service's backends into slots, so that a table can name
// them. A service that is new is known to Go only, so far.
func (p *Plane) insertMembers(w *wanted) (*service, error) {
	v := p.state.find(w.Name)
	if v == nil {
		index, ok := p.state.indices.take()
		if !ok {
			return nil, fmt.Errorf("more than %d services", len(p.state.indices.used))
		}
		v = &service{name: w.Name, value: xdpService{Index: index}}
		if err := p.clearService(v); err != nil {
			p.state.indices.release(index)
			return nil, err
		}
		p.state.services = append(p.state.services, v)
	}
	if err := p.setPersistence(v, w); err != nil {
		return nil, fmt.Errorf("write persistence: %w", err)
	}
	if err := p.setDefence(v, w); err != nil {
		return nil, fmt.Errorf("write defence: %w", err)
	}
	for _, b := range w.Backends {
		if err := p.insertMember(v, b, w); err != nil {
			return nil, fmt.Errorf("write backend %q: %w", b.Name, err)
		}
	}
	return v, nil
}

// clearService makes an index this service's and wipes what the former one has left.
func (p *Plane) clearService(v *service) error {
	index := v.value.Index
	if err := p.objects.ServiceNames.Put(index, toName(v.name)); err != nil {
		return fmt.Errorf("write name: %w", err)
	}
	if err := p.objects.Persistences.Put(index, xdpPersistence{}); err != nil {
		return fmt.Errorf("clear persistence: %w", err)
	}
	if err := p.objects.Defences.Put(index, xdpDefence{}); err != nil {
		return fmt.Errorf("clear defence: %w", err)
	}
	if err := p.objects.Retired.Put(index, xdpRetirement{}); err != nil {
		return fmt.Errorf("clear counters: %w", err)
	}
	return nil
}

// removeOthers lets go of all services but these, and orders those that stay.
func (p *Plane) removeOthers(keep []*service) {
	for _, v := range p.state.services {
		if !slices.Contains(keep, v) {
			p.removeService(v)
		}
	}
	p.state.services = append([]*service(nil), keep...)
}

func (p *Plane) setRevision(revision uint64) error {
	if p.state.revision == revision {
		return nil
	}
	var about xdpAbout
	if err := p.objects.AboutMaps.Lookup(uint32(0), &about); err != nil {
		return fmt.Errorf("read revision: %w", err)
	}
	about.Revision = revision
	if err := p.objects.AboutMaps.Put(uint32(0), about); err != nil {
		return fmt.Errorf("write revision %d: %w", revision, err)
	}
	p.state.revision = revision
	return nil
}
