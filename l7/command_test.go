package l7

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// loadTime is how long each command is given under load; LBCTL_L7_SECONDS makes it
// longer (make soak-l7: 60).
func loadTime() time.Duration {
	if s, err := strconv.Atoi(os.Getenv("LBCTL_L7_SECONDS")); err == nil {
		return time.Duration(s) * time.Second
	}
	return 2 * time.Second
}

func TestNoCommandFailsARequest(t *testing.T) {
	if os.Getenv(modelVariable) != "" || os.Getenv(kindVariable) != "" {
		t.Skip("all models are tried already")
	}
	for _, shape := range []Shape{
		{Model: Prefork, Start: 12, MinSpare: 2, MaxSpare: 20, Processes: 40},
		{Model: Threads, Threads: 8, Start: 2, MinSpare: 4, MaxSpare: 40, Processes: 6},
		{Model: Event, Threads: 4, Start: 2, MinSpare: 2, MaxSpare: 40, Processes: 6},
		{Model: Loop, Processes: 2},
	} {
		t.Run(string(shape.Model), func(t *testing.T) {
			l := newLab(t)
			l.backend(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
			s := l.service("web", lb.RoundRobin)
			o := planeOptions(t)
			o.Shape = shape
			p := openPlane(t, o)
			defer endProxy(t, p)
			l.applyTo(p)
			load := l.startLoad(s, 6)
			for range 2 {
				syscall.Kill(p.PID(), syscall.SIGHUP)
				time.Sleep(loadTime() / 2)
			}
			pid := p.PID()
			syscall.Kill(pid, syscall.SIGUSR2)
			eventually(t, 10*time.Second, func() error {
				if now := p.PID(); now == pid || now == 0 {
					return fmt.Errorf("the old master, %d, still answers", pid)
				}
				return nil
			})
			time.Sleep(loadTime() / 2)
			eventually(t, 15*time.Second, func() error {
				if syscall.Kill(pid, 0) == nil {
					return fmt.Errorf("the old master, %d, does not end", pid)
				}
				return nil
			})
			load.stop(t)
			l.shares(s, 3)
		})
	}
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
				if syscall.Kill(pid, 0) == nil {
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
