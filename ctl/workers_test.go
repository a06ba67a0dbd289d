package ctl

import (
	"context"
	"errors"
	"testing"

	"lbctl/internal/lb"
	"lbctl/l7"
)

// workingPlane has processes.
type workingPlane struct {
	*fakePlane
	workers l7.Workers
	err     error
}

func (workingPlane) PID() int { return 7 }

func (workingPlane) Running() (lb.Shape, string) { return lb.Shape{Model: lb.ModelLoop}, "epoll" }

func (p workingPlane) Workers(context.Context) (l7.Workers, error) {
	return p.workers, p.err
}

// working is a Controller whose l7 plane, on lb2, is that one and has a snapshot.
func working(t *testing.T, plane workingPlane) *Controller {
	t.Helper()
	options := testOptions(&fixture{net: &fakeNet{}, l4: &fakePlane{name: lb.L4}, l7: plane.fakePlane, file: t.TempDir() + "/state.json"})
	options.Planes[1] = Plane{Name: lb.L7, Node: "lb2", Open: func(context.Context) (DataPlane, error) { return plane, nil }}
	c, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if w := c.Workers(t.Context()); w == nil || len(w) != 0 {
		t.Errorf("before there is a service: %+v", w)
	}
	if _, err := c.Configure(t.Context(), testConfig(1), ""); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(t.Context(), WaitRequest{}); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheProcessesOfPlanesThatAreOpenAreTold(t *testing.T) {
	for _, err := range []error{nil, errors.New("it hangs")} {
		c := working(t, workingPlane{&fakePlane{name: lb.L7}, l7.Workers{Generation: 3}, err})
		w := c.Workers(t.Context())
		if len(w) != 1 || w[0].Node != "lb2" || w[0].Master != 7 || w[0].Generation != 3 || (w[0].Error != "") != (err != nil) {
			t.Errorf("workers: %+v", w)
		}
		p := c.Status(t.Context()).Planes[1]
		if p.Shape == nil || p.Shape.Model != lb.ModelLoop || p.Loop != "epoll" || p.PID != 7 {
			t.Errorf("status: %+v", p)
		}
	}
}
