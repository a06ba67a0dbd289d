package l4

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// Churn: 1,000 changes in a minute to four of eight backends, with 20,000 live
// connections that exchange bytes all the time. Not one of those to the other
// four breaks.
func TestConnectionsToUntouchedBackendsOutliveChurn(t *testing.T) {
	const connections, clients, changes, pace = 20_000, 2, 1000, 60 * time.Millisecond
	w := newWires(t, 8)
	w.startServers(kind{proto: lb.TCP})
	c := newChurn(t)
	ok(t, w.Apply(t.Context(), snapshot(lb.Maglev, c.backends...)))
	var ends []*child
	opened := map[string]int{}
	for range clients { // one process may not have files enough
		end := w.startClient(kind{proto: lb.TCP})
		r := w.order(end, order{Open: connections / clients})
		if len(r.Broken) != 0 || sum(r.Live) != connections/clients {
			t.Fatalf("opened: %+v, want %d connections", r, connections/clients)
		}
		merge(opened, r.Live)
		ends = append(ends, end)
	}

	var over atomic.Bool
	go func() {
		defer over.Store(true)
		began := time.Now()
		for i := range changes {
			if err := w.Apply(t.Context(), snapshot(lb.Maglev, c.step()...)); err != nil {
				t.Errorf("change %d: %v", i, err)
				return
			}
			time.Sleep(time.Until(began.Add(time.Duration(i+1) * pace)))
		}
		t.Logf("%d changes in %s", changes, time.Since(began))
	}()
	passes := 0
	for ; !over.Load() && !t.Failed() || passes == 0; passes++ {
		live := map[string]int{}
		for _, end := range ends {
			r := w.order(end, order{Echo: 64})
			merge(live, r.Live)
			for _, server := range c.untouched {
				if r.Broken[server] > 0 {
					t.Errorf("pass %d: %d connections to server %s broke: %s", passes, r.Broken[server], server, r.Error)
				}
			}
		}
		for _, server := range c.untouched {
			if live[server] != opened[server] {
				t.Errorf("pass %d: %d connections to server %s live, of %d", passes, live[server], server, opened[server])
			}
		}
	}
	t.Logf("%d passes over the connections; opened: %v", passes, opened)
}

func merge(to, from map[string]int) {
	for k, n := range from {
		to[k] += n
	}
}

// churn changes backends 5 to 8 in every way there is.
type churn struct {
	*rand.Rand
	seed      uint64
	backends  []lb.Backend
	untouched []string
	next      lb.BackendID
}

func newChurn(t *testing.T) *churn {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return &churn{
		Rand: rand.New(rand.NewPCG(seed, 0)), seed: seed, next: 9,
		backends: backends(8), untouched: []string{"1", "2", "3", "4"},
	}
}

// step is one change: a backend goes, comes, weighs otherwise, fails, recovers,
// drains or is disabled.
func (c *churn) step() []lb.Backend {
	present := map[string]int{}
	for i, b := range c.backends {
		present[b.Name] = i
	}
	number := 5 + c.IntN(4)
	i, there := present[fmt.Sprintf("s%d", number)]
	if !there {
		b := backend(number)
		b.ID, c.next = c.next, c.next+1
		c.backends = append(slices.Clip(c.backends), b)
		return c.backends
	}
	c.backends = slices.Clone(c.backends)
	b := &c.backends[i]
	switch c.IntN(5) {
	case 0:
		c.backends = slices.Delete(c.backends, i, i+1)
	case 1:
		b.Weight = c.Uint32N(5)
	case 2:
		b.Health = [...]lb.Health{lb.Unknown, lb.Up, lb.Down}[c.IntN(3)]
	case 3:
		b.Admin = [...]lb.Admin{lb.Enabled, lb.Draining, lb.Disabled}[c.IntN(3)]
	case 4:
		b.Health, b.Admin, b.Weight = lb.Up, lb.Enabled, 1
	}
	return c.backends
}
