package l7

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
)

// ejectionPoll is how often a master looks for backends that its workers have ejected.
const ejectionPoll = 200 * time.Millisecond

// serveWatch says who answers, and then, until the process dies, which backends are
// ejected: first those that are already.
func (m *master) serveWatch(w http.ResponseWriter, r *http.Request) {
	now := m.workers.report()
	writeJSON(w, processInfo{os.Getpid(), now.Shape, now.Loop})
	out := http.NewResponseController(w)
	_ = out.Flush()
	var told map[string]int64
	var fresh []lb.Ejection
	for tick := time.NewTicker(ejectionPoll); ; {
		select {
		case <-tick.C:
		case <-r.Context().Done():
			tick.Stop()
			return
		}
		fresh, told = m.ejections(told)
		for _, e := range fresh {
			_ = json.NewEncoder(w).Encode(e)
		}
		if len(fresh) > 0 {
			_ = out.Flush()
		}
	}
}

// ejections returns those in force that are not among told, which are ends of ejections
// by key of account, and what is to be told the next time.
func (m *master) ejections(told map[string]int64) (fresh []lb.Ejection, inForce map[string]int64) {
	c, now := m.current.Load(), scoreboard.Now()
	for _, v := range c.Snapshot.Services {
		if v.Plane != lb.L7 || v.HTTP.Outlier == (lb.Outlier{}) {
			continue
		}
		for _, b := range v.Backends {
			key := proxy.BackendKey(v.Name, b.ID)
			until := m.board.Shared(c.Cells[key]).EjectedUntil.Load()
			if until <= now {
				continue
			}
			if inForce == nil {
				inForce = map[string]int64{}
			}
			if inForce[key] = until; told[key] != until {
				fresh = append(fresh, lb.Ejection{Service: v.Name, Backend: b.ID, Until: time.Now().Add(time.Duration(until - now))})
			}
		}
	}
	return fresh, inForce
}

// lifeline is the answer to watch: it ends when the process does that gave it.
type lifeline struct {
	body io.ReadCloser
	in   *json.Decoder
}

// follow returns when the process is dead, or the lifeline is closed. Until then hear hears
// of ejections.
func (l *lifeline) follow(hear func(lb.Ejection)) {
	for {
		var e lb.Ejection
		if l.in.Decode(&e) != nil {
			return
		}
		hear(e)
	}
}

func (l *lifeline) Close() { l.body.Close() }

// ejected are the backends that a proxy has ejected.
type ejected struct {
	mu      sync.Mutex
	inForce []lb.Ejection
	hear    func(lb.Ejection) // nil: nobody does yet
}

func (x *ejected) add(e lb.Ejection) {
	x.mu.Lock()
	defer x.mu.Unlock()
	kept := x.inForce[:0]
	for _, old := range x.inForce {
		if time.Now().Before(old.Until) && (old.Service != e.Service || old.Backend != e.Backend) {
			kept = append(kept, old)
		}
	}
	x.inForce = append(kept, e)
	if x.hear != nil {
		x.hear(e)
	}
}

// OnEjection has f hear of each backend that the proxy ejects, and of those that are
// ejected now. f must return soon, and not call the Plane.
func (p *Plane) OnEjection(f func(lb.Ejection)) {
	x := &p.ejected
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hear = f
	for _, e := range x.inForce {
		if time.Now().Before(e.Until) {
			f(e)
		}
	}
}
