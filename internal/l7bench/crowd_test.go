package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// holding serves at an address, and answers so many requests.
func holding(t *testing.T, limit int64) string {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) > limit {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintln(w, "hello")
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestACrowdIsGatheredAndStays(t *testing.T) {
	c, err := gather(t.Context(), holding(t, 100), 100)
	if err != nil {
		t.Fatal(err)
	}
	if gone := c.gone(); gone != 0 {
		t.Errorf("%d connections have gone, want none", gone)
	}
	c.close()
}

func TestAnEngineThatHoldsTooFewIsFoundOut(t *testing.T) {
	_, err := gather(t.Context(), holding(t, 40), 100)
	var full *tooMany
	if !errors.As(err, &full) || full.held != 40 || full.wanted != 100 {
		t.Fatalf("gather returned %v, want 40 connections of 100", err)
	}
}

func TestConnectionsThatWereClosedAreCounted(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	here, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	there, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := crowd{here}
	defer c.close()
	if got := c.gone(); got != 0 {
		t.Errorf("%d of an open connection have gone, want none", got)
	}
	there.Close()
	for c.gone() == 0 && t.Context().Err() == nil { // the FIN is on its way
	}
}

func TestWhatIsNotMeasuredIsInTheTable(t *testing.T) {
	var out strings.Builder
	printTable(&out, "idle", load{idle: 10000}, []measurement{
		{Engine: "nginx", CPU: 20000, P50: 150000, P99: 12345678, Idle: &idle{PerIdle: 1000}},
		{Engine: "haproxy", CPU: 30000, Idle: &idle{PerIdle: 1500}},
		{Engine: "apache-prefork", Why: "a process for each"},
		{Engine: "lbctl-prefork", Why: "a process for each"},
	})
	for _, want := range []string{"1.50", "150µs", "12.3ms", "not measured: apache-prefork, lbctl-prefork: a process for each"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(line)); n > 121 {
			t.Errorf("%d columns, want 120 at most: %s", n, line)
		}
	}
}
