package healthcheck

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lbctl/internal/lb"
)

// fakeNet is a network whose servers answer, refuse or are silent.
type fakeNet struct {
	mu     sync.Mutex
	state  map[string]string // by address: "" accepts, "refuse", "silent"
	probes map[string][]time.Time
}

func newFakeNet() *fakeNet {
	return &fakeNet{state: map[string]string{}, probes: map[string][]time.Time{}}
}

func (n *fakeNet) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	state := n.state[addr]
	n.probes[addr] = append(n.probes[addr], time.Now())
	n.mu.Unlock()
	switch state {
	case "refuse":
		return nil, errors.New("refused")
	case "silent":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	conn, _ := net.Pipe()
	return conn, nil
}

func (n *fakeNet) set(t lb.Target, state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state[t.Addr.String()] = state
}

// seen returns when t was probed and forgets it.
func (n *fakeNet) seen(t lb.Target) []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	times := n.probes[t.Addr.String()]
	delete(n.probes, t.Addr.String())
	return times
}

// recorder keeps transitions.
type recorder struct {
	mu  sync.Mutex
	all []lb.Transition
}

func (r *recorder) notify(tr lb.Transition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, tr)
}

func (r *recorder) take() []lb.Transition {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

var everySecond = lb.Check{
	Name: "tcp", Kind: lb.CheckTCP, Interval: time.Second, FastInterval: 250 * time.Millisecond,
	Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3,
}

func addr(i int) lb.Target {
	return lb.Target{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 4, byte(i)}), 80), Check: "tcp"}
}

func mustSet(t *testing.T, m *Monitor, c lb.Check, targets ...lb.Target) {
	t.Helper()
	if err := m.Set([]lb.Check{c}, targets); err != nil {
		t.Fatal(err)
	}
}

func health(m *Monitor, t lb.Target) lb.Health {
	for _, s := range m.States() {
		if s.Target == t {
			return s.Health
		}
	}
	return lb.Unknown
}

func TestNewTargetsAreJudgedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := newFakeNet(), &recorder{}
		m := New(n.dial, r.notify)
		defer m.Close()
		n.set(addr(2), "refuse")
		slow := everySecond
		slow.Interval = time.Hour
		mustSet(t, m, slow, addr(1), addr(2))
		time.Sleep(soon)
		if got := health(m, addr(1)); got != lb.Up {
			t.Errorf("%s after its start an answering target is %s", soon, got)
		}
		time.Sleep(2 * slow.FastInterval)
		if got := health(m, addr(2)); got != lb.Down {
			t.Errorf("after %d fast probes a refusing target is %s", slow.Fall, got)
		}
		if got := r.take(); len(got) != 2 || got[1].From != lb.Unknown || got[1].Reason != "connect 198.18.4.2:80: refused" {
			t.Errorf("transitions: %+v", got)
		}
	})
}

func TestDetectionIsBounded(t *testing.T) {
	for _, failure := range []string{"refuse", "silent"} {
		for _, fast := range []time.Duration{250 * time.Millisecond, time.Second} {
			synctest.Test(t, func(t *testing.T) {
				n, r := newFakeNet(), &recorder{}
				m := New(n.dial, r.notify)
				defer m.Close()
				c := everySecond
				c.FastInterval = fast
				mustSet(t, m, c, addr(1))
				bound := time.Duration(c.Fall)*c.Interval + c.Timeout
				for i := range 20 { // failures at many phases of the interval
					time.Sleep(5*time.Second + time.Duration(i)*53*time.Millisecond)
					r.take()
					n.set(addr(1), failure)
					died := time.Now()
					time.Sleep(bound)
					synctest.Wait()
					switch got := r.take(); {
					case len(got) != 1 || got[0].To != lb.Down:
						t.Fatalf("%s, fast %s: %s after death transitions are %+v", failure, fast, bound, got)
					case got[0].At.Sub(died) > bound:
						t.Fatalf("%s, fast %s: detected after %s", failure, fast, got[0].At.Sub(died))
					}
					n.set(addr(1), "")
				}
			})
		}
	}
}

func TestProbesKeepTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		m := New(n.dial, func(lb.Transition) {})
		defer m.Close()
		mustSet(t, m, everySecond, addr(1))
		time.Sleep(3 * time.Second)
		n.seen(addr(1))
		time.Sleep(10 * time.Second)
		gaps(t, n.seen(addr(1)), time.Second, "settled up")
		n.set(addr(1), "silent")
		time.Sleep(5 * time.Second)
		n.seen(addr(1))
		time.Sleep(10 * time.Second)
		gaps(t, n.seen(addr(1)), time.Second, "settled down, each probe a timeout long")
	})
}

func gaps(t *testing.T, times []time.Time, want time.Duration, when string) {
	t.Helper()
	if len(times) < 9 {
		t.Fatalf("%s: only %d probes", when, len(times))
	}
	for i := range times[1:] {
		if gap := times[i+1].Sub(times[i]); gap != want {
			t.Errorf("%s: %s between probes, want %s", when, gap, want)
		}
	}
}

func TestProbesOfManyTargetsSpreadOverTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		m := New(n.dial, func(lb.Transition) {})
		defer m.Close()
		var targets []lb.Target
		for i := range 200 {
			targets = append(targets, addr(i))
		}
		mustSet(t, m, everySecond, targets...)
		start := time.Now()
		time.Sleep(20 * time.Second)
		var tenths [10]int
		for _, target := range targets {
			times := n.seen(target)
			last := times[len(times)-1]
			tenths[last.Sub(start)%time.Second/(100*time.Millisecond)]++
		}
		if slices.Max(tenths[:]) > 60 || slices.Min(tenths[:]) == 0 {
			t.Errorf("200 targets are probed in these tenths of the second: %v", tenths)
		}
	})
}

func TestSetKeepsWhatIsKeptAndForgetsWhatIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := newFakeNet(), &recorder{}
		m := New(n.dial, r.notify)
		defer m.Close()
		mustSet(t, m, everySecond, addr(1), addr(2))
		time.Sleep(5 * time.Second)
		before := m.States()[0]
		r.take()
		n.seen(addr(1))
		n.seen(addr(2))

		mustSet(t, m, everySecond, addr(1), addr(3))
		synctest.Wait()
		if after := m.States()[0]; after != before {
			t.Errorf("a kept target was %+v and is %+v", before, after)
		}
		time.Sleep(10 * time.Second)
		gaps(t, n.seen(addr(1)), time.Second, "kept")
		if got := n.seen(addr(2)); len(got) != 0 {
			t.Errorf("a removed target was probed %d times", len(got))
		}
		if got := r.take(); len(got) != 1 || got[0].Target != addr(3) {
			t.Errorf("transitions: %+v", got)
		}
	})
}

func TestAnEditedCheckKeepsHealthAndChangesRhythm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := newFakeNet(), &recorder{}
		m := New(n.dial, r.notify)
		defer m.Close()
		slow := everySecond
		slow.Interval = time.Hour
		mustSet(t, m, slow, addr(1))
		time.Sleep(2 * time.Hour)
		r.take()
		n.seen(addr(1))
		mustSet(t, m, everySecond, addr(1))
		time.Sleep(10 * time.Second)
		gaps(t, n.seen(addr(1)), time.Second, "after an hourly check became one of a second")
		if got := r.take(); len(got) != 0 || health(m, addr(1)) != lb.Up {
			t.Errorf("health changed with the check: %+v", got)
		}
	})
}

func TestAdoptedHealthHoldsUntilTheThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := newFakeNet(), &recorder{}
		m := New(n.dial, r.notify)
		defer m.Close()
		n.set(addr(1), "refuse")
		m.Adopt(map[lb.Target]lb.Health{addr(1): lb.Up, addr(2): lb.Down})
		mustSet(t, m, everySecond, addr(1), addr(2))
		if h := health(m, addr(1)); h != lb.Up {
			t.Errorf("an adopted target starts as %s", h)
		}
		time.Sleep(5 * time.Second)
		got := r.take()
		slices.SortFunc(got, func(a, b lb.Transition) int { return a.Addr.Compare(b.Addr) })
		if len(got) != 2 || got[0].From != lb.Up || got[0].To != lb.Down || got[1].From != lb.Down || got[1].To != lb.Up {
			t.Errorf("transitions: %+v", got)
		}
	})
}

func TestABlockedListenerHoldsUpNoProbeAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := newFakeNet(), &recorder{}
		block := make(chan struct{})
		m := New(n.dial, func(tr lb.Transition) { <-block; r.notify(tr) })
		defer m.Close()
		mustSet(t, m, everySecond, addr(1))
		for range 3 {
			time.Sleep(5 * time.Second)
			n.set(addr(1), "refuse")
			time.Sleep(5 * time.Second)
			n.set(addr(1), "")
		}
		time.Sleep(5 * time.Second)
		if got := len(n.seen(addr(1))); got < 30 {
			t.Errorf("%d probes in 35 s", got)
		}
		close(block)
		synctest.Wait()
		got := r.take()
		if len(got) != 7 {
			t.Fatalf("%d transitions, want 7: %+v", len(got), got)
		}
		for i := range got[1:] {
			if got[i+1].From != got[i].To || got[i+1].At.Before(got[i].At) {
				t.Errorf("out of order: %+v", got)
			}
		}
	})
}

func TestSetRefusesWholly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(newFakeNet().dial, func(lb.Transition) {})
		mustSet(t, m, everySecond, addr(1))
		bad := everySecond
		bad.Kind = "icmp"
		if m.Set([]lb.Check{bad}, []lb.Target{addr(2)}) == nil {
			t.Error("a check of an unknown kind was accepted")
		}
		if m.Set(nil, []lb.Target{addr(2)}) == nil {
			t.Error("a target without its check was accepted")
		}
		if s := m.States(); len(s) != 1 || s[0].Target != addr(1) {
			t.Errorf("after two refusals the targets are %+v", s)
		}
		m.Close()
		if m.Set([]lb.Check{everySecond}, nil) == nil {
			t.Error("a closed monitor accepted targets")
		}
	})
}

// The bubble itself fails the test if a goroutine outlives Close.
func TestCloseEndsProbesUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet()
		m := New(n.dial, func(lb.Transition) { t.Error("a probe that was cut short counts") })
		c := everySecond
		c.Timeout, c.Fall = time.Hour, 1
		for i := range 20 {
			n.set(addr(i), "silent")
			mustSet(t, m, c, addr(i)) // and removes the one before, while its probe is under way
			time.Sleep(soon)
		}
		start := time.Now()
		m.Close()
		if took := time.Since(start); took > 0 {
			t.Errorf("Close took %s", took)
		}
	})
}

func TestADoubtIsProbedSoonAndChangesNothingByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, r := newFakeNet(), &recorder{}
		m := New(n.dial, r.notify)
		defer m.Close()
		slow := everySecond
		slow.Interval = time.Minute
		mustSet(t, m, slow, addr(1))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		r.take()
		last := n.seen(addr(1))
		time.Sleep(time.Until(last[len(last)-1].Add(30 * time.Second)))
		begin := time.Now()
		m.Doubt(addr(1), Doubt{"ejected", begin.Add(20 * time.Second)})
		m.Doubt(addr(1), Doubt{"ejected elsewhere", begin.Add(10 * time.Second)})
		m.Doubt(addr(2), Doubt{"of nobody", begin.Add(time.Hour)})
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if probes := n.seen(addr(1)); len(probes) != 1 || probes[0] != begin {
			t.Errorf("probed at %v, doubted at %v", probes, begin)
		}
		m.Doubt(addr(1), Doubt{"again", begin.Add(15 * time.Second)})
		time.Sleep(time.Second)
		if probes := n.seen(addr(1)); len(probes) != 1 || probes[0] != begin.Add(slow.FastInterval) {
			t.Errorf("doubted right after a probe it was probed at %v", probes)
		}
		if s := m.States()[0]; s.Health != lb.Up || s.Doubt.Reason != "ejected" || len(r.take()) != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(30 * time.Second)
		if s := m.States()[0]; s.Doubt != (Doubt{}) {
			t.Errorf("a doubt that is over is %+v", s.Doubt)
		}
		if probes := n.seen(addr(1)); len(probes) != 0 {
			t.Errorf("probed at %v after a probe that passed at %v", probes, begin)
		}
		n.set(addr(1), "refuse")
		m.Doubt(addr(1), Doubt{"ejected", time.Now().Add(time.Minute)})
		time.Sleep(2*slow.FastInterval + time.Millisecond)
		synctest.Wait()
		if health(m, addr(1)) != lb.Down {
			t.Error("it is not down after as many failures as every other needs")
		}
	})
}
