package ctl

import (
	"context"
	"net/http"
	"sync"

	"lbctl/internal/lb"
	"lbctl/l7"
)

// PlaneWorkers is what the processes of one l7 plane do, or why that cannot be told.
type PlaneWorkers struct {
	Node   string `json:"node,omitempty"` // the balancer that it is on, where there are two
	Master int    `json:"master"`         // process that supervises them; 0: none runs
	Error  string `json:"error,omitempty"`
	l7.Workers
}

// Workers says what the processes of the l7 planes do that are open. Planes are asked
// side by side.
func (c *Controller) Workers(ctx context.Context) []PlaneWorkers {
	ctx, cancel := context.WithTimeout(ctx, statsTimeout)
	defer cancel()
	found := make([]*PlaneWorkers, len(c.appliers))
	var asked sync.WaitGroup
	for i, a := range c.appliers {
		plane, ok := a.dataPlane().(interface {
			Workers(ctx context.Context) (l7.Workers, error)
			PID() int
		})
		if !ok {
			continue
		}
		asked.Go(func() {
			w, err := plane.Workers(ctx)
			found[i] = &PlaneWorkers{Node: a.plane.Node, Master: plane.PID(), Workers: w}
			if err != nil {
				found[i].Error = err.Error()
			}
		})
	}
	asked.Wait()
	all := []PlaneWorkers{}
	for _, w := range found {
		if w != nil {
			all = append(all, *w)
		}
	}
	return all
}

func (a *api) workers(w http.ResponseWriter, r *http.Request) error {
	return write(w, a.controller.Workers(r.Context()))
}

// Workers says what the processes of the l7 planes do: none if no plane is open.
func (c *Client) Workers(ctx context.Context) (w []PlaneWorkers, err error) {
	return w, c.call(ctx, http.MethodGet, "/v1/workers", nil, &w)
}

// dataPlane is nil until the plane is open.
func (a *applier) dataPlane() DataPlane {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open
}

// ask adds to a status what the plane says of itself.
func (s *PlaneStatus) ask(plane DataPlane) {
	if process, ok := plane.(interface{ PID() int }); ok {
		s.PID = process.PID()
	}
	if shaped, ok := plane.(interface{ Running() (lb.Shape, string) }); ok {
		shape, loop := shaped.Running()
		s.Shape, s.Loop = &shape, loop
	}
	if hooked, ok := plane.(interface{ Hooks() []lb.HookChoice }); ok {
		s.Hooks = hooked.Hooks()
	}
}
