package l7

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestPlaneTellsOfEjections(t *testing.T) {
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	s.HTTP.Outlier = lb.Outlier{Failures: 3, Base: time.Minute, Max: time.Minute, MaxShare: 100}
	o := planeOptions(t)
	p := openPlane(t, o)
	heard := make(chan lb.Ejection, 10)
	p.OnEjection(func(e lb.Ejection) { heard <- e })
	l.applyTo(p)
	for range 10 {
		l.get(s)
	}
	told := func(who string) {
		t.Helper()
		select {
		case e := <-heard:
			if left := time.Until(e.Until); e.Service != "web" || e.Backend != 1 || left < 50*time.Second || left > 61*time.Second {
				t.Errorf("%s heard of %+v, for %v", who, e, left)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s heard of no ejection", who)
		}
	}
	told("who was there")
	p.OnEjection(func(e lb.Ejection) { heard <- e })
	told("who came later")
	p.Close()
	o.Start = func(*exec.Cmd) error { return errors.New("a second proxy was started") }
	p = openPlane(t, o)
	defer endProxy(t, p)
	p.OnEjection(func(e lb.Ejection) { heard <- e })
	told("who adopted the proxy")
	time.Sleep(2 * ejectionPoll)
	if n := len(heard); n != 0 {
		t.Errorf("one ejection was told %d times more", n)
	}
	st, err := p.Stats()
	if err == nil && st.Services[0].Backends[0].HTTP.Ejections != 1 {
		err = fmt.Errorf("%d ejections are counted", st.Services[0].Backends[0].HTTP.Ejections)
	}
	if err != nil {
		t.Error(err)
	}
}
