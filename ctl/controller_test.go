package ctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"lbctl/internal/lb"
)

func TestControllerConvergesThoughOneApplyInTenFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(f *fixture) { f.l4.fail = func(call int) bool { return call%10 == 0 } })
		f.configure(t, testConfig(3))
		for i := range 500 {
			backend := fmt.Sprintf("s%d", 1+i%3)
			if _, err := f.SetBackend(t.Context(), "web-l4", backend, BackendPatch{Weight: ptr(uint32(2 + i))}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(150 * time.Millisecond)
		}
		f.settle(t)

		want := f.latest.Load().snapshot
		for _, p := range []*fakePlane{f.l4, f.l7} {
			if got := p.last(); !reflect.DeepEqual(got, want) {
				t.Errorf("plane %s ended with revision %d, want %d", p.name, got.Revision, want.Revision)
			}
		}
		status := f.planeStatus(lb.L4)
		if f.l4.faults < 40 || status.Failures != uint64(f.l4.faults) {
			t.Errorf("%d faults were injected, status shows %d", f.l4.faults, status.Failures)
		}
		if status.State != PlaneApplied || status.Applied != want.Revision || status.Retries != 0 || status.LastError == "" {
			t.Errorf("status after recovery: %+v", status)
		}
		failed, recovered := f.past(EventApplyFailed), f.past(EventApplyRecovered)
		if len(failed) != f.l4.faults || len(recovered) != f.l4.faults {
			t.Errorf("%d faults made %d apply_failed and %d apply_recovered events", f.l4.faults, len(failed), len(recovered))
		}
		if s := f.planeStatus(lb.L7); s.Failures != 0 {
			t.Errorf("the other plane failed %d times", s.Failures)
		}
	})
}

func TestAStreakOfFailuresIsOneEventAndBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const streak = 10
		f := newFixture(t, nil)
		config := testConfig(3)
		f.configure(t, config)
		f.settle(t)
		good := f.l4.last()
		f.l4.failNext(streak)
		start := time.Now()
		config.Services[0].Backends[0].Weight = 5
		f.configure(t, config)
		time.Sleep(time.Second)
		s := f.planeStatus(lb.L4)
		if s.State != PlaneFailing || s.Retries < 3 || s.Applied != good.Revision || s.Desired != good.Revision+1 {
			t.Errorf("while it fails: %+v", s)
		}
		if !reflect.DeepEqual(f.l4.last(), good) {
			t.Error("the last good revision is no longer in force")
		}
		err := f.Wait(t.Context(), WaitRequest{Timeout: time.Second})
		if StatusCode(err) != 504 {
			t.Errorf("waiting for a failing plane: %v", err)
		}
		f.settle(t)
		if took := time.Since(start); took < 20*time.Second || took > 60*time.Second {
			t.Errorf("%d failures in a row took %s", streak, took)
		}
		failed, recovered := f.past(EventApplyFailed), f.past(EventApplyRecovered)
		if len(failed) != 1 || len(recovered) != 1 || recovered[0].Failures != streak {
			t.Errorf("a streak of %d: events %+v %+v", streak, failed, recovered)
		}
	})
}

func TestBackoffStaysWithinItsBounds(t *testing.T) {
	for n := 1; n < 100; n++ {
		for range 20 {
			if d := backoff(n); d < backoffMin || d > backoffMax {
				t.Fatalf("failure %d waits %s", n, d)
			}
		}
	}
}

func TestASlowPlaneHoldsUpNeitherTheOtherNorTheController(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, func(f *fixture) { f.l4.gate = make(chan struct{}) })
		f.configure(t, testConfig(3))
		start := time.Now()
		for i := range 50 {
			if _, err := f.SetBackend(t.Context(), "web-l7", "s1", BackendPatch{Weight: ptr(uint32(2 + i))}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := f.l7.last().Revision; got != f.latest.Load().revision {
				t.Fatalf("L7 has revision %d of %d", got, f.latest.Load().revision)
			}
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("50 changes took %s", took)
		}
		time.Sleep(time.Second)
		close(f.l4.gate)
		f.settle(t)
		if f.l4.calls > 3 {
			t.Errorf("the slow plane was given %d snapshots of 51; only the newest one matters", f.l4.calls)
		}
	})
}

func TestATransitionIsOneEventAndOneSnapshotForBothPlanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.configure(t, testConfig(3))
		f.settle(t)
		before := f.latest.Load().revision
		f.net.kill(server(2), true)
		time.Sleep(5 * time.Second)
		v := f.latest.Load()
		if v.revision != before+1 {
			t.Errorf("one death made %d snapshots", v.revision-before)
		}
		events := f.past(EventTransition)
		last := events[len(events)-1]
		if len(events) != 4 || last.Transition.To != lb.Down || last.Revision != v.revision || len(last.Touched) != 2 {
			t.Errorf("3 births and a death made these events: %+v", events)
		}
		for _, p := range []*fakePlane{f.l4, f.l7} {
			for _, svc := range p.last().Services {
				if b := svc.Backends[1]; b.Health != lb.Down || p.last().Revision != v.revision {
					t.Errorf("plane %s has %s/%s as %s at revision %d", p.name, svc.Name, b.Name, b.Health, p.last().Revision)
				}
			}
		}
		f.net.kill(server(2), false)
		time.Sleep(5 * time.Second)
		if b := f.l7.last().Services[1].Backends[1]; b.Health != lb.Up {
			t.Errorf("back again it is %s", b.Health)
		}
	})
}

func TestAnEjectionIsToldAndHasTheBackendProbedAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		defer f.Close()
		f.configure(t, testConfig(2))
		f.settle(t)
		time.Sleep(5 * time.Second)
		before := f.latest.Load().revision
		l7, _ := f.Status(t.Context()).Service("web-l7")
		f.l7.eject(lb.Ejection{Service: "web-l7", Backend: l7.Backends[1].ID, Until: time.Now().Add(10 * time.Second)})
		f.l7.eject(lb.Ejection{Service: "web-l7", Backend: 4711, Until: time.Now().Add(time.Hour)})
		asked := time.Now()
		time.Sleep(300 * time.Millisecond)
		events := f.past(EventEjected)
		if len(events) != 1 || events[0].Message != "web-l7/s2 is ejected by l7 for 10s, for how it answered" || events[0].Service != "web-l7" || events[0].Backend != "s2" || events[0].Plane != lb.L7 {
			t.Errorf("events %+v", events)
		}
		status := f.Status(t.Context())
		for _, name := range []string{"web-l4", "web-l7"} { // which share their check
			svc, _ := status.Service(name)
			if b := svc.Backends[0]; b.Doubt != "" {
				t.Errorf("%s/s1: %+v", name, b)
			}
			if b := svc.Backends[1]; b.Doubt != "ejected by l7" || time.Until(b.DoubtUntil) > 10*time.Second || b.Health != lb.Up || b.Probed.Before(asked) {
				t.Errorf("%s/s2: %+v", name, b)
			}
		}
		if now := f.latest.Load().revision; now != before || len(f.past(EventTransition)) != 2 {
			t.Errorf("revision %d, before %d; transitions %+v", now, before, f.past(EventTransition))
		}
		time.Sleep(10 * time.Second)
		if svc, _ := f.Status(t.Context()).Service("web-l7"); svc.Backends[1].Doubt != "" {
			t.Errorf("after the ejection: %+v", svc.Backends[1])
		}
	})
}

func TestARestartKeepsEverythingThatWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.configure(t, testConfig(3))
		f.net.kill(server(3), true)
		if _, err := f.SetBackend(t.Context(), "web-l4", "s1", BackendPatch{Admin: ptr(lb.Draining), Weight: ptr(uint32(8))}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		f.settle(t)
		// A kill -9 leaves what is on disk at that moment; a Close must not add to it.
		killed, err := os.ReadFile(f.file)
		if err != nil {
			t.Fatal(err)
		}
		want := f.latest.Load().snapshot
		if err := f.Close(); err != nil || !f.l4.closed || !f.l7.closed {
			t.Errorf("close: %v", err)
		}
		if left, _ := os.ReadFile(f.file); string(left) != string(killed) {
			t.Error("an orderly end leaves another state than a kill")
		}
		f.l4, f.l7 = &fakePlane{name: lb.L4}, &fakePlane{name: lb.L7}
		f.start(t)
		synctest.Wait()
		for _, p := range []*fakePlane{f.l4, f.l7} {
			if got := p.last(); !reflect.DeepEqual(got, want) {
				t.Errorf("plane %s was given\n%+v\nafter the restart, want\n%+v", p.name, got, want)
			}
		}
		time.Sleep(10 * time.Second)
		if got := f.past(EventTransition); len(got) != 0 {
			t.Errorf("health that is as it was made transitions: %+v", got)
		}
		if r := f.configure(t, testConfig(3)); len(r.Changes) != 0 || r.Revision != want.Revision {
			t.Errorf("the same configuration after a restart: %+v", r)
		}
	})
}

func TestAPlaneThatCannotBeOpenedIsShownAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{net: &fakeNet{}, l4: &fakePlane{name: lb.L4}, l7: &fakePlane{name: lb.L7}, file: t.TempDir() + "/state.json"}
		attempts := 0
		o := testOptions(f)
		o.Planes[0].Open = func(context.Context) (DataPlane, error) {
			if attempts++; attempts <= 3 {
				return nil, errors.New("no BTF in this kernel")
			}
			return f.l4, nil
		}
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f.Controller = c
		if got := f.planeStatus(lb.L4); got.State != PlaneIdle || attempts != 0 {
			t.Errorf("before any service the plane is %+v", got)
		}
		f.configure(t, testConfig(1))
		synctest.Wait()
		got := f.planeStatus(lb.L4)
		if got.State != PlaneFailing || got.LastError != "plane l4: open: no BTF in this kernel" {
			t.Errorf("while it cannot be opened: %+v", got)
		}
		f.settle(t)
		if got := f.planeStatus(lb.L4); got.State != PlaneApplied || attempts != 4 {
			t.Errorf("after %d attempts: %+v", attempts, got)
		}
		if got := f.past(EventPlane); len(got) != 2 {
			t.Errorf("opened events: %+v", got)
		}
	})
}

func TestAPlaneWithoutServicesStaysClosedUntilItHadSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		config := testConfig(2)
		l7only := config
		l7only.Services = config.Services[1:]
		f.configure(t, l7only)
		f.settle(t)
		if got := f.planeStatus(lb.L4); got.State != PlaneIdle || f.l4.calls != 0 {
			t.Errorf("L4 without services: %+v", got)
		}
		f.configure(t, config)
		f.settle(t)
		f.configure(t, l7only)
		f.settle(t)
		if got := f.l4.last(); got.Revision != f.latest.Load().revision {
			t.Error("L4 was not told that its last service is gone")
		}
	})
}

func TestWhatCannotBePersistedNeverWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, nil)
		f.configure(t, testConfig(2))
		f.settle(t)
		before := f.latest.Load().revision
		// A directory in the way of the temporary file makes every save fail.
		if err := os.Mkdir(f.file+".tmp", 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := f.SetBackend(t.Context(), "web-l4", "s1", BackendPatch{Weight: ptr(uint32(5))})
		if StatusCode(err) != 0 || err == nil || f.latest.Load().revision != before {
			t.Errorf("a change that could not be saved: error %v, revision %d after %d", err, f.latest.Load().revision, before)
		}
		f.net.kill(server(1), true)
		time.Sleep(5 * time.Second)
		if b := f.l4.last().Services[0].Backends[0]; b.Health != lb.Down {
			t.Errorf("a full disk kept a dead server %s", b.Health)
		}
		if got := f.past(EventPersistFailed); len(got) != 1 {
			t.Errorf("persist_failed events: %+v", got)
		}
	})
}

func TestAClosedControllerAnswersSo(t *testing.T) {
	f := newFixture(t, nil)
	f.Close()
	if _, err := f.Configure(t.Context(), testConfig(1), ""); StatusCode(err) != 503 {
		t.Errorf("configure: %v", err)
	}
	if err := f.Wait(t.Context(), WaitRequest{Revision: 9}); StatusCode(err) != 503 {
		t.Errorf("wait: %v", err)
	}
}

func TestAPlaneThatDoesNotCountHoldsUpNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		f := newFixture(t, func(f *fixture) {
			f.l4.stats = func() (lb.Stats, error) { <-release; return lb.Stats{}, nil }
		})
		f.configure(t, testConfig(2))
		f.settle(t)
		for range 2 {
			start := time.Now()
			s := f.Status(t.Context())
			if took := time.Since(start); took != statsTimeout {
				t.Errorf("status took %s", took)
			}
			if len(s.Services) != 2 || s.Services[0].Backends[0].Health != lb.Up {
				t.Errorf("status without counters: %+v", s.Services)
			}
		}
		close(release)
	})
}
