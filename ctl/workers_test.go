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
	err error
}

func (workingPlane) PID() int { return 7 }

func (workingPlane) Running() (lb.Shape, string) { return lb.Shape{Model: lb.ModelLoop}, "epoll" }

func (p workingPlane) Workers(context.Context) (l7.Workers, error) {
	return l7.Workers{Generation: 3}, p.err
}

func TestTheProcessesOfPlanesThatAreOpenAreTold(t *testing.T) {
	for _, err := range []error{nil, errors.New("it hangs")} {
		plane := workingPlane{&fakePlane{name: lb.L7}, err}
		c, newErr := New(Options{Lab: "test", StateFile: t.TempDir() + "/state.json", Planes: []Plane{
			{Name: lb.L4, Open: func(context.Context) (DataPlane, error) { return &fakePlane{name: lb.L4}, nil }},
			{Name: lb.L7, Node: "lb2", Open: func(context.Context) (DataPlane, error) { return plane, nil }},
		}})
		if newErr != nil {
			t.Fatal(newErr)
		}
		if w := c.Workers(t.Context()); w == nil || len(w) != 0 {
			t.Errorf("before there is a service: %+v", w)
		}
		if _, err := c.Configure(t.Context(), testConfig(1), ""); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(t.Context(), WaitRequest{}); err != nil {
			t.Fatal(err)
		}
		w := c.Workers(t.Context())
		if len(w) != 1 || w[0].Node != "lb2" || w[0].Master != 7 || w[0].Generation != 3 || (w[0].Error != "") != (err != nil) {
			t.Errorf("workers: %+v", w)
		}
		p := c.Status(t.Context()).Planes[1]
		if p.Shape == nil || p.Shape.Model != lb.ModelLoop || p.Loop != "epoll" || p.PID != 7 {
			t.Errorf("status: %+v", p)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
