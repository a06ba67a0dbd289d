package l7

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// errandsAt starts a proxy of a shape in front of a backend that serves errands.
func errandsAt(t *testing.T, shape Shape) (*lab, *errands, *Plane, *lb.Service) {
	e := newErrands()
	l, p, s := proxyOf(t, shape, e.serve)
	return l, e, p, s
}

// takenOver waits until another master than that one answers, and returns it.
func takenOver(t *testing.T, p *Plane, from int) int {
	t.Helper()
	eventually(t, 10*time.Second, func() error {
		if now := p.PID(); now == from || now == 0 {
			return fmt.Errorf("the old master, %d, still answers", from)
		}
		return nil
	})
	return p.PID()
}

// What is left when the time is over is cut off by the workers themselves, which write that down before they end.
func TestWhatTakesLongerThanTheDrainTimeoutIsCutOff(t *testing.T) {
	const patience = 400 * time.Millisecond
	for _, command := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR2} {
		t.Run(command.String(), func(t *testing.T) {
			forCommandShapes(t, func(t *testing.T, shape Shape) {
				shape.DrainTimeout = patience
				l, e, p, s := errandsAt(t, shape)
				file := filepath.Join(t.TempDir(), "access.log")
				s.HTTP.AccessLog = lb.AccessLog{Path: file, Format: lb.LogJSON}
				l.applyTo(p)
				e.start(t, s, "before")
				begun := time.Now()
				syscall.Kill(p.PID(), command)
				for range e.running {
					if err := <-e.results; err == nil {
						t.Error("an errand goes on")
					}
				}
				if took := time.Since(begun); took < patience {
					t.Errorf("they are cut off after %s", took)
				}
				eventually(t, 10*time.Second, func() error {
					lines, _ := os.ReadFile(file)
					if n := strings.Count(string(lines), `"removed"`); n != e.running {
						return fmt.Errorf("%d of %d are in the log:\n%s", n, e.running, lines)
					}
					return nil
				})
				l.shares(s, 3)
			})
		})
	}
}

func TestARemovedServiceHasTheDrainTimeoutForWhatIsInFlight(t *testing.T) {
	l, e := newLab(t), newErrands()
	l.backend(e.serve)
	s := *l.service("web", lb.RoundRobin)
	l.apply()
	e.start(t, &s, "before")
	l.engine.patience = 300 * time.Millisecond
	l.config.Services = nil
	begun := time.Now()
	l.apply()
	for range e.running {
		if err := <-e.results; err == nil {
			t.Error("an errand goes on")
		}
	}
	if took := time.Since(begun); took < l.engine.patience {
		t.Errorf("they are cut off after %s", took)
	}
}

// Whoever ends the proxy means all of it: also masters that have been replaced and have something to finish for an hour.
func TestMastersThatStillFinishEndWithTheirSuccessor(t *testing.T) {
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT} {
		t.Run(end.String(), func(t *testing.T) {
			_, e, p, s := errandsAt(t, Shape{Model: Loop, Processes: 1})
			masters := []int{p.PID()}
			e.start(t, s, "before the first upgrade") // of two: the second master has nothing to finish
			for range 2 {
				syscall.Kill(p.PID(), syscall.SIGUSR2)
				masters = append(masters, takenOver(t, p, p.PID()))
			}
			if end == syscall.SIGQUIT {
				time.Sleep(trial + 500*time.Millisecond)
				for _, pid := range masters {
					if !lives(pid) {
						t.Errorf("of masters %v, %d has ended, and with it the word to those before", masters, pid)
					}
				}
			}
			p.Close() // nobody starts another
			syscall.Kill(masters[2], end)
			if end == syscall.SIGQUIT {
				time.Sleep(50 * time.Millisecond)
				e.end(t)
			}
			for _, pid := range masters {
				eventually(t, stopDeadline, func() error {
					if lives(pid) {
						return fmt.Errorf("of masters %v, %d does not end", masters, pid)
					}
					return nil
				})
			}
		})
	}
}

func TestAMasterWhoseSuccessorDiesAfterItsTrialEndsSoon(t *testing.T) {
	_, e, p, s := errandsAt(t, Shape{Model: Loop, Processes: 1})
	old := p.PID()
	e.start(t, s, "before the upgrade")
	syscall.Kill(old, syscall.SIGUSR2)
	next := takenOver(t, p, old)
	time.Sleep(trial + time.Second)
	begun := time.Now()
	syscall.Kill(next, syscall.SIGKILL)
	if now := takenOver(t, p, next); now == old {
		t.Fatal("it has come back")
	}
	eventually(t, stopDeadline+10*time.Second, func() error {
		if lives(old) {
			return fmt.Errorf("the old master, %d, does not end", old)
		}
		return nil
	})
	if took := time.Since(begun); took < stopDeadline {
		t.Errorf("what it had in flight has had only %s", took)
	}
}

// A binary that comes up and dies then is no better than one that does not come up.
func TestAMasterThatDiesInItsTrialIsReplacedByTheOneBefore(t *testing.T) {
	forCommandShapes(t, func(t *testing.T, shape Shape) {
		l, e, p, s := errandsAt(t, shape)
		load := l.startLoad(s, 4)
		old := p.PID()
		e.start(t, s, "before the upgrade")
		for range 2 {
			syscall.Kill(old, syscall.SIGUSR2)
			next := takenOver(t, p, old)
			syscall.Kill(next, syscall.SIGKILL)
			if now := takenOver(t, p, next); now != old {
				t.Fatalf("master %d answers, want the old one, %d", now, old)
			}
			e.start(t, s, "after the trial")
		}
		if st, err := p.Stats(); err != nil || st.Revision != l.config.Revision {
			t.Errorf("%+v, %v", st, err)
		}
		l.config.Services[0].Policy = lb.LeastConn
		l.applyTo(p)
		e.end(t)
		load.stop(t)
		l.shares(s, 3)
	})
}
