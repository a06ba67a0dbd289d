package ctl

import (
	"testing"
	"time"

	"lbctl/internal/lb"
	"lbctl/l4"
)

// Timeouts that a person has set go to the plane, survive the daemon and other
// changes of the configuration, and end with a change of the configuration's own.
func TestTimeoutsStayAsTheyWereSet(t *testing.T) {
	f := newFixture(t, nil)
	client := serveAPI(t, f.Controller)
	config := testConfig(1)
	f.configure(t, config)
	check := func(when string, want lb.Timeouts) {
		t.Helper()
		f.settle(t)
		if got := f.Timeouts(); got != want || f.l4.last().Timeouts != want {
			t.Errorf("%s: %+v, the plane has %+v, want %+v", when, got, f.l4.last().Timeouts, want)
		}
	}
	want := l4.DefaultTimeouts
	check("at first", want)

	before := f.latest.Load().revision
	revision, err := client.SetTimeouts(t.Context(), lb.Timeouts{TCP: time.Hour, UDP: time.Second})
	if err != nil || revision != before+1 {
		t.Fatalf("revision %d after %d, %v", revision, before, err)
	}
	want.TCP, want.UDP = time.Hour, time.Second
	check("set", want)
	if got, err := client.Timeouts(t.Context()); got != want || err != nil {
		t.Errorf("the API says %+v, %v", got, err)
	}
	if len(f.past(EventTimeouts)) != 1 {
		t.Errorf("events: %+v", f.past())
	}
	if revision, err = client.SetTimeouts(t.Context(), want); err != nil || revision != before+1 {
		t.Errorf("what is so already makes revision %d, %v", revision, err)
	}

	config.Services[0].Policy = lb.RoundRobin
	f.configure(t, config)
	check("after another change", want)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.l4 = &fakePlane{name: lb.L4}
	f.start(t)
	check("after a restart", want)
	f.configure(t, config)
	check("after the same configuration", want)

	config.Timeouts.FIN = time.Minute
	if changes := f.configure(t, config).Changes; len(changes) != 1 || changes[0].String() != "change timeouts of flows: fin 0s -> 1m0s" {
		t.Errorf("changes: %v", changes)
	}
	want = l4.DefaultTimeouts
	want.FIN = time.Minute
	check("after the configuration's own", want)
}

func TestTimeoutsBeyondThePlanesClockAreRefused(t *testing.T) {
	f := newFixture(t, nil)
	for _, bad := range []lb.Timeouts{{TCP: 25 * 24 * time.Hour}, {UDP: -time.Second}} {
		if _, err := f.SetTimeouts(t.Context(), bad); StatusCode(err) != 422 {
			t.Errorf("%+v: %v", bad, err)
		}
		config := testConfig(1)
		config.Timeouts = bad
		if _, err := f.Configure(t.Context(), config, ""); StatusCode(err) != 422 {
			t.Errorf("%+v in a configuration: %v", bad, err)
		}
	}
}
