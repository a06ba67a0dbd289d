package l7

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// holding is a handler that answers /hold only when told.
func holding() (handler http.HandlerFunc, arrived, release chan struct{}) {
	arrived, release = make(chan struct{}, 10), make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			arrived <- struct{}{}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		io.WriteString(w, "done")
	}, arrived, release
}

// hold starts a GET of /hold and returns where its outcome will be told.
func (l *lab) hold(s *lb.Service) chan error {
	result, url := make(chan error, 1), "http://"+s.VIP.Addr.String()+"/hold"
	go func() { result <- l.once(url) }()
	return result
}

func TestDrainingFinishesWhatIsInFlightAndTakesNothingNew(t *testing.T) {
	for _, state := range []string{"draining", "weight 0", "down", "removed"} {
		t.Run(state, func(t *testing.T) {
			l := newLab(t)
			handler, arrived, release := holding()
			leaving, staying := l.backend(handler), l.backend(handler)
			s := l.service("web", lb.RoundRobin)
			l.apply()
			held := []chan error{l.hold(s), l.hold(s)} // one at each
			<-arrived
			<-arrived
			l.shares(s, 4)
			switch state {
			case "draining":
				s.Backends[0].Admin = lb.Draining
			case "weight 0":
				s.Backends[0].Weight = 0
			case "down":
				s.Backends[0].Health = lb.Down
			case "removed":
				s.Backends = s.Backends[1:]
			}
			l.apply()
			eventually(t, time.Second, func() error {
				if n := leaving.open(); n != 1 {
					return fmt.Errorf("%d connections, want only the busy one", n)
				}
				return nil
			})
			if got := l.shares(s, 6); got["s1"] != 0 {
				t.Errorf("new requests: %v", got)
			}
			close(release)
			for _, h := range held {
				if err := <-h; err != nil {
					t.Errorf("in flight: %v", err)
				}
			}
			eventually(t, time.Second, func() error {
				if n := leaving.open(); n != 0 {
					return fmt.Errorf("%d connections left open", n)
				}
				if c, b := l.counters(s); c.Active != 0 || b[0].Active != 0 {
					return fmt.Errorf("still active: %+v %+v", c, b)
				}
				return nil
			})
			if staying.open() == 0 {
				t.Error("the other backend's pool was closed as well")
			}
		})
	}
}

func TestADisabledBackendKeepsNothing(t *testing.T) {
	l := newLab(t)
	handler, arrived, release := holding()
	defer close(release)
	l.backend(handler)
	s := l.service("web", lb.RoundRobin)
	l.apply()
	held := l.hold(s)
	<-arrived
	s.Backends[0].Admin = lb.Disabled
	s.Backends = append(s.Backends, lb.Backend{ID: 2, Name: "s2", Addr: l.backend(nil).addr, Weight: 1, Health: lb.Up})
	l.apply()
	if err := <-held; err != nil {
		t.Errorf("a request that may be repeated was not sent elsewhere: %v", err)
	}
	eventually(t, time.Second, func() error {
		if n := l.backends[0].open(); n != 0 {
			return fmt.Errorf("%d connections left open", n)
		}
		return nil
	})
}
