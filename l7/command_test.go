package l7

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/loop"
)

// loadTime is how long each command is given under load; LBCTL_L7_SECONDS makes it
// longer (make soak-l7: 60).
func loadTime() time.Duration {
	if s, err := strconv.Atoi(os.Getenv("LBCTL_L7_SECONDS")); err == nil {
		return time.Duration(s) * time.Second
	}
	return 2 * time.Second
}

// commandShapes are one of each model, and of loop one for each kind of event loop.
var commandShapes = []Shape{
	{Model: Prefork, Start: 12, MinSpare: 4, MaxSpare: 20, Processes: 40},
	{Model: Threads, Threads: 8, Start: 2, MinSpare: 8, MaxSpare: 40, Processes: 6},
	{Model: Event, Threads: 4, Start: 2, MinSpare: 4, MaxSpare: 40, Processes: 6},
	{Model: Loop, Processes: 2, Events: "epoll"},
	{Model: Loop, Processes: 2, Events: "io_uring"},
}

// forCommandShapes runs a test under each of them.
func forCommandShapes(t *testing.T, test func(t *testing.T, shape Shape)) {
	if os.Getenv(modelVariable) != "" || os.Getenv(kindVariable) != "" {
		t.Skip("all models are tried already")
	}
	for _, shape := range commandShapes {
		t.Run(string(shape.Model)+" "+shape.Events, func(t *testing.T) {
			if why := cannot(shape); why != "" {
				t.Skip(why)
			}
			test(t, shape)
		})
	}
}

// cannot says what this machine lacks for a shape; empty: nothing.
func cannot(s Shape) string {
	if s.Events != loop.URing.String() {
		return ""
	}
	if kind, why := loop.Probe(); kind != loop.URing {
		return "this machine lacks io_uring: " + why
	}
	return ""
}

// No command fails a request: neither the quick ones that come all the time, nor those that are under way when a
// command comes, however long they take, and whatever comes after it.
func TestNoCommandFailsARequest(t *testing.T) {
	forCommandShapes(t, func(t *testing.T, shape Shape) {
		l, e := newLab(t), newErrands()
		l.backend(e.serve)
		s := l.service("web", lb.RoundRobin)
		s.HTTP.BackendHeadTimeout = time.Hour
		o := planeOptions(t)
		o.Shape = shape
		p := openPlane(t, o)
		defer func() { endProxy(t, p) }()
		l.applyTo(p)
		load := l.startLoad(s, 6)
		for _, generation := range []string{"before HUP", "before the second HUP"} {
			e.start(t, s, generation)
			syscall.Kill(p.PID(), syscall.SIGHUP)
			time.Sleep(loadTime() / 2)
		}
		e.start(t, s, "before USR2")
		upgraded := p.PID()
		syscall.Kill(upgraded, syscall.SIGUSR2)
		eventually(t, 10*time.Second, func() error {
			if now := p.PID(); now == upgraded || now == 0 {
				return fmt.Errorf("the old master, %d, still answers", upgraded)
			}
			return nil
		})
		time.Sleep(loadTime() / 2)
		e.start(t, s, "before the change of shape")
		reshaped := p.PID()
		p.Close()
		o.Shape.Processes++
		p = openPlane(t, o)
		if p.PID() == reshaped {
			t.Error("the shape has not changed")
		}
		time.Sleep(loadTime() / 2)
		e.start(t, s, "last")
		e.end(t)
		for _, old := range []int{upgraded, reshaped} {
			awaitEnd(t, old)
		}
		load.stop(t)
		l.shares(s, 3)
	})
}

// awaitEnd waits until a master that has nothing left to finish is gone.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if lives(pid) {
			return fmt.Errorf("the old master, %d, does not end", pid)
		}
		return nil
	})
}

func TestQuitAnswersWhatIsInFlight(t *testing.T) {
	if os.Getenv(modelVariable) != "" || os.Getenv(kindVariable) != "" {
		t.Skip("all models are tried already")
	}
	for _, model := range Models {
		t.Run(string(model), func(t *testing.T) {
			l := newLab(t)
			handler, arrived, release := holding()
			l.backend(handler)
			s := l.service("web", lb.RoundRobin)
			o := planeOptions(t)
			o.Shape = Shape{Model: model, Start: 6}
			if model == Loop {
				o.Shape = Shape{}
			}
			p := openPlane(t, o)
			l.applyTo(p)
			var held []chan error
			for range 4 {
				held = append(held, l.hold(s))
				<-arrived
			}
			pid := p.PID()
			p.Close()
			syscall.Kill(pid, syscall.SIGQUIT)
			time.Sleep(100 * time.Millisecond)
			close(release)
			for _, h := range held {
				if err := <-h; err != nil {
					t.Error(err)
				}
			}
			eventually(t, 5*time.Second, func() error {
				if lives(pid) {
					return fmt.Errorf("it does not end")
				}
				return nil
			})
		})
	}
}

func TestAnUpgradeThatFailsChangesNothing(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	o := planeOptions(t)
	self := t.TempDir() + "/lbctl"
	if err := os.Link("/proc/self/exe", self); err != nil {
		data, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(self, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	o.Self = self
	p := openPlane(t, o)
	defer endProxy(t, p)
	l.applyTo(p)
	load := l.startLoad(s, 2)
	if err := os.Remove(self); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, []byte("#!/bin/false\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	pid := p.PID()
	syscall.Kill(pid, syscall.SIGUSR2)
	time.Sleep(500 * time.Millisecond)
	load.stop(t)
	if st, err := p.Stats(); err != nil || p.PID() != pid || st.Revision != 1 {
		t.Errorf("after an upgrade to a binary that fails: %+v, %v, pid %d", st, err, p.PID())
	}
	l.shares(s, 3)
}
