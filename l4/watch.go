package l4

import (
	"errors"
	"sync"
	"time"
)

// watchInterval is how long a server's new MAC address may go unnoticed.
const watchInterval = time.Second

// watch runs a function again and again until it is stopped.
type watch struct {
	once sync.Once
	quit chan struct{}
	done chan struct{}
}

func (w *watch) start(interval time.Duration, f func()) {
	w.quit, w.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(w.done)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-w.quit:
				return
			case <-tick.C:
				f()
			}
		}
	}()
}

// stop returns when f is not running and will not run again.
func (w *watch) stop() {
	if w.quit == nil {
		return
	}
	w.once.Do(func() { close(w.quit) })
	<-w.done
}

// refresh follows changes of the interfaces' and next hops' MAC addresses and MTUs. It
// only changes hops that Apply has found; routes are Apply's.
func (p *Plane) refresh() {
	ports, err := p.ports()
	if err == nil {
		err = p.writePorts(ports)
	}
	if err = errors.Join(err, p.refreshHops(ports)); err != nil {
		p.log.Warn("refresh next hops", "error", err)
	}
}

func (p *Plane) refreshHops(ports []port) error {
	p.applying.Lock()
	defer p.applying.Unlock()
	known, err := p.hops.neighbours()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var missing []neighbour
	for _, v := range p.state.services {
		for _, m := range v.members {
			if m.backend.Ifindex == 0 {
				continue
			}
			way, err := p.hops.route(fromAddress(m.backend.Addr), ports)
			if err != nil || uint32(way.ifindex) != m.backend.Ifindex {
				continue
			}
			next := m.backend
			next.Mtu = toMTU(way.mtu, next)
			if mac, ok := known[way.neighbour]; ok {
				next.Mac = mac
			} else {
				missing = append(missing, way.neighbour)
			}
			if err := p.writeMember(m, next); err != nil {
				return err
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return p.hops.provoke(missing)
}
