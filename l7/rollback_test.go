package l7

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"lbctl/internal/lb"
	"lbctl/internal/supervise"
)

// unwilling are workers of which none takes the next configuration.
type unwilling struct {
	inProcess
	refuses bool
}

var errUnwilling = errors.New("not with us")

func (w *unwilling) configure(c *configuration, fresh []supervise.Socket) error {
	if w.refuses {
		w.refuses = false
		return errUnwilling
	}
	return w.inProcess.configure(c, fresh)
}

func TestWhatEveryWorkerRefusesIsRolledBack(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := *l.service("web", lb.RoundRobin)
	l.apply()
	w := &unwilling{inProcess: inProcess{t, l.engine}}
	l.proxy.workers = w
	for range 3 {
		w.refuses = true
		other := *l.service("other", lb.RoundRobin)
		l.config.Services = []lb.Service{other} // and web goes
		if err := l.proxy.apply(l.next()); !errors.Is(err, errUnwilling) {
			t.Fatalf("apply = %v, want what the workers say", err)
		}
		if rev := l.proxy.stats().Revision; rev != 1 {
			t.Fatalf("revision %d reported, want 1", rev)
		}
		if c, err := net.Dial("tcp", other.VIP.Addr.String()); err == nil {
			c.Close()
			t.Error("a socket of what was refused is open")
		}
		if status, _, _ := l.get(&s); status != 200 {
			t.Errorf("the last good snapshot: status %d", status)
		}
	}
	l.config.Services = []lb.Service{s}
	l.apply()
	if c, _ := l.counters(&s); c.Requests != 3 {
		t.Errorf("%d requests are counted, want 3", c.Requests)
	}
}

func TestOnlyWhatAllRefuseIsAReasonToGoBack(t *testing.T) {
	no := fmt.Errorf("call configure: %w", supervise.Refusal("refused: no"))
	gone := fmt.Errorf("call configure: %w", supervise.ErrLinkClosed)
	for _, c := range []struct {
		answers []error
		back    bool
	}{
		{nil, false},
		{[]error{nil, nil}, false},
		{[]error{no, nil}, false},
		{[]error{no, context.DeadlineExceeded}, false},
		{[]error{gone}, false},
		{[]error{errors.New("too late")}, false},
		{[]error{no}, true},
		{[]error{no, gone, no}, true},
	} {
		err := allRefuse(c.answers)
		if (err != nil) != c.back || c.back && !strings.Contains(err.Error(), "refused: no") {
			t.Errorf("%v: %v, want an error: %v", c.answers, err, c.back)
		}
	}
}
