package l7

import (
	"bufio"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// A client that connects and says nothing does not hold the only thread, and is served when it speaks.
func TestASilentClientHoldsNoThread(t *testing.T) {
	for _, model := range []Model{Prefork, Threads} {
		t.Run(string(model), func(t *testing.T) {
			l, p, s := proxyOf(t, Shape{Model: model, Threads: 1, Start: 1, Processes: 1, MinSpare: 1, MaxSpare: 2}, nil)
			s.HTTP.ClientHeadTimeout = time.Minute
			l.applyTo(p)
			var err error
			for range 5 { // the kernel keeps it for a second: on a busy machine that may be too short
				silent, other := rawDial(t, s.VIP.Addr), rawDial(t, s.VIP.Addr)
				_ = other.SetDeadline(time.Now().Add(3 * time.Second))
				err = ask(other, bufio.NewReader(other), "/")
				other.Close()
				if err == nil {
					err = ask(silent, bufio.NewReader(silent), "/")
				}
				silent.Close()
				if err == nil {
					return
				}
			}
			t.Error(err)
		})
	}
}

// A client that stays silent is accepted in the end, and has the time for a request that it always has.
func TestASilentClientIsTimedOut(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	s.HTTP.ClientHeadTimeout = 100 * time.Millisecond
	l.apply()
	c := rawDial(t, s.VIP.Addr)
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v; want the end of the connection", err)
	}
}

// The socket is shared by the workers of models that come and go.
func TestTheModelSaysWhetherClientsAreDeferred(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	l.apply()
	got, err := unix.GetsockoptInt(l.engine.fronts[s.VIP.Addr].descriptor, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT)
	if want := deferral(testShape().Model); err != nil || got != want {
		t.Errorf("deferred for %d s, %v; want %d", got, err, want)
	}
}
