package ctl

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// remembering is a fakePlane that has flows: these, or as many as are read.
type remembering struct {
	*fakePlane
	flows func() iter.Seq2[lb.Flow, error]
}

func (p remembering) Flows() iter.Seq2[lb.Flow, error] { return p.flows() }

// flowsOf yields n flows of alternating services, and then an error unless that is nil.
func flowsOf(n int, err error) iter.Seq2[lb.Flow, error] {
	return func(yield func(lb.Flow, error) bool) {
		for i := range n {
			client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 7)
			service := []string{"web-l4", "other"}[i%2]
			if !yield(lb.Flow{Service: service, Proto: lb.TCP, Client: client, VIP: server(9), Backend: server(1), State: "ESTABLISHED", Expires: time.Minute}, nil) {
				return
			}
		}
		if err != nil {
			yield(lb.Flow{}, err)
		}
	}
}

// serveFlows returns a client of a daemon whose l4 plane remembers these.
func serveFlows(t *testing.T, flows func() iter.Seq2[lb.Flow, error]) (*fixture, *Client) {
	t.Helper()
	f := &fixture{
		net: &fakeNet{}, l4: &fakePlane{name: lb.L4}, l7: &fakePlane{name: lb.L7},
		file: filepath.Join(t.TempDir(), "state.json"),
	}
	o := testOptions(f)
	o.Planes[0].Open = func(context.Context) (DataPlane, error) { return remembering{f.l4, flows}, nil }
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	f.Controller = c
	t.Cleanup(func() { _ = c.Close() })
	return f, serveAPI(t, f.Controller)
}

func serveAPI(t *testing.T, c *Controller) *Client {
	t.Helper()
	socket := filepath.Join(shortDir(t), "daemon.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: newAPI(c, func() {})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	client := Dial(socket)
	t.Cleanup(client.Close)
	return client
}

func TestFlowsAreListedToTheEndWhateverTheirNumber(t *testing.T) {
	flows := flowsOf(0, nil)
	f, client := serveFlows(t, func() iter.Seq2[lb.Flow, error] { return flows })
	list := func(q FlowQuery) (n int, end FlowEnd, err error) {
		end, err = client.Flows(t.Context(), q, func(lb.Flow) error { n++; return nil })
		return n, end, err
	}
	if n, end, err := list(FlowQuery{}); n != 0 || end != (FlowEnd{}) || err != nil {
		t.Errorf("of a plane that is not open: %d flows, %+v, %v", n, end, err)
	}
	f.configure(t, testConfig(1))
	f.settle(t)
	for _, c := range []struct {
		name  string
		there int
		query FlowQuery
		want  int
		more  bool
	}{
		{"none", 0, FlowQuery{}, 0, false},
		{"one", 1, FlowQuery{}, 1, false},
		{"a batch", flowBatch, FlowQuery{}, flowBatch, false},
		{"many", 100_000, FlowQuery{}, 100_000, false},
		{"as many as the limit", 10, FlowQuery{Limit: 10}, 10, false},
		{"more than the limit", 11, FlowQuery{Limit: 10}, 10, true},
		{"one service's", 100, FlowQuery{Service: "web-l4"}, 50, false},
		{"some of one service's", 100, FlowQuery{Service: "web-l4", Limit: 49}, 49, true},
	} {
		flows = flowsOf(c.there, nil)
		n, end, err := list(c.query)
		if n != c.want || end != (FlowEnd{Listed: uint64(c.want), More: c.more}) || err != nil {
			t.Errorf("%s: %d flows, %+v, %v; want %d, more %t", c.name, n, end, err, c.want, c.more)
		}
	}
	for _, c := range []struct {
		query FlowQuery
		want  string
	}{
		{FlowQuery{Service: "web-l5"}, `there is no service "web-l5"; did you mean web-l4 or web-l7?`},
		{FlowQuery{Node: "lb2"}, `there is no balancer "lb2"`},
	} {
		if _, _, err := list(c.query); StatusCode(err) != 404 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.query, err)
		}
	}
}

func TestAListOfFlowsThatBreaksOffIsAnError(t *testing.T) {
	broken := errors.New("the table is gone")
	f, client := serveFlows(t, func() iter.Seq2[lb.Flow, error] { return flowsOf(3, broken) })
	f.configure(t, testConfig(1))
	f.settle(t)
	n := 0
	_, err := client.Flows(t.Context(), FlowQuery{}, func(lb.Flow) error { n++; return nil })
	if n != 3 || err == nil || !strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("%d flows, then %v", n, err)
	}
	enough := fmt.Errorf("enough")
	if _, err = client.Flows(t.Context(), FlowQuery{}, func(lb.Flow) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("who reads no further: %v", err)
	}
}

// Whoever goes away ends the reading of the tables.
func TestFlowsThatNobodyReadsAreNotLookedFor(t *testing.T) {
	left := make(chan struct{})
	endless := func(yield func(lb.Flow, error) bool) {
		defer close(left)
		for f := range flowsOf(1<<40, nil) {
			if !yield(f, nil) {
				return
			}
		}
	}
	f, client := serveFlows(t, func() iter.Seq2[lb.Flow, error] { return endless })
	f.configure(t, testConfig(1))
	f.settle(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := client.Flows(ctx, FlowQuery{}, func(lb.Flow) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a reader that goes away is told %v", err)
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the table is read on, and nobody listens")
	}
}

func TestADaemonThatFallsSilentAmidFlowsIsAnError(t *testing.T) {
	release := make(chan struct{})
	silent := func(yield func(lb.Flow, error) bool) {
		<-release
	}
	f, client := serveFlows(t, func() iter.Seq2[lb.Flow, error] { return silent })
	t.Cleanup(func() { close(release) })
	f.configure(t, testConfig(1))
	f.settle(t)
	client.patience = 50 * time.Millisecond
	if _, err := client.Flows(t.Context(), FlowQuery{}, func(lb.Flow) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it is waited for: %v", err)
	}
}

func TestLimitsOfFlowsThatAreNoNumbersAreRefused(t *testing.T) {
	_, h := newTestAPI(t)
	if got := ask(h, "GET", "/v1/flows?limit=-1", "").StatusCode; got != 400 {
		t.Errorf("limit=-1: %d", got)
	}
}
