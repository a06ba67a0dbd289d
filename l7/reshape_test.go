package l7

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestAnotherShapeTakesOverAndFailsNoRequest(t *testing.T) {
	if os.Getenv(modelVariable) != "" || os.Getenv(kindVariable) != "" {
		t.Skip("all models are tried already")
	}
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	s := l.service("web", lb.RoundRobin)
	o := planeOptions(t)
	o.Shape = Shape{Model: Loop, Processes: 1}
	p := openPlane(t, o)
	l.applyTo(p)
	load := l.startLoad(s, 4)
	for _, shape := range []Shape{
		{Model: Event, Threads: 8, Start: 1, MinSpare: 1, MaxSpare: 40, Processes: 2},
		{Model: Prefork, Start: 8, MinSpare: 2, MaxSpare: 20, Processes: 20},
		{Model: Threads, Threads: 8, Start: 1, MinSpare: 1, MaxSpare: 40, Processes: 2},
		{Model: Loop, Processes: 1},
	} {
		before := p.PID()
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		o.Shape = shape
		p = openPlane(t, o)
		if now, kind := p.Running(); now.Model != shape.Model || p.PID() == before || (kind != "") != (shape.Model == Loop) {
			t.Errorf("it runs as %+v, kind %q, pid %d", now, kind, p.PID())
		}
		if st, err := p.Stats(); err != nil || st.Revision != 1 {
			t.Errorf("what was in force is not: %+v, %v", st, err)
		}
		time.Sleep(loadTime() / 4)
	}
	defer func() { endProxy(t, p) }()
	load.stop(t)

	pid := p.PID()
	p.Close()
	o.Shape.Processes = 1
	p = openPlane(t, o)
	if p.PID() != pid {
		t.Error("the same shape replaced the proxy")
	}
}

func TestConnectionsAreCountedWhereTheyAre(t *testing.T) {
	for model, want := range map[Model][2]int64{Prefork: {2, 0}, Threads: {2, 0}, Event: {2, 2}, Loop: {2, 0}} {
		t.Run(string(model), func(t *testing.T) {
			shape := Shape{Model: model, Threads: 4, Start: 1, MinSpare: 1, MaxSpare: 100, Processes: 1}
			if model == Prefork {
				shape.Threads, shape.Start, shape.Processes = 1, 4, 4
			}
			if model == Loop {
				shape = Shape{Model: Loop, Processes: 1}
			}
			_, p, s := proxyOf(t, shape, nil)
			for range 2 {
				c := rawDial(t, s.VIP.Addr)
				if err := ask(c, bufio.NewReader(c), "/"); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, 3*time.Second, func() error {
				w, err := p.Workers(context.Background())
				var got [2]int64
				for _, process := range w.Processes {
					got[0] += process.Connections
					got[1] += process.Held
				}
				if err == nil && got != want {
					err = fmt.Errorf("two idle connections are counted as %v, want %v", got, want)
				}
				return err
			})
		})
	}
}

// Spare threads are short while a master lets its workers finish, and yet it must
// start none.
func TestAMasterThatHasHandedOverEndsSoon(t *testing.T) {
	_, p, s := proxyOf(t, Shape{Model: Event, Threads: 2, Start: 2, MinSpare: 4, MaxSpare: 8, Processes: 4}, nil)
	c := rawDial(t, s.VIP.Addr)
	if err := ask(c, bufio.NewReader(c), "/"); err != nil {
		t.Fatal(err)
	}
	pid := p.PID()
	syscall.Kill(pid, syscall.SIGUSR2)
	eventually(t, 5*time.Second, func() error {
		if lives(pid) {
			return fmt.Errorf("the old master, %d, does not end", pid)
		}
		return nil
	})
}
