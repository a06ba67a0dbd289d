package l4

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// With no backend the client is refused at once, by the balancer's own stack.
func TestClientIsRefusedWhenNothingIsEligible(t *testing.T) {
	w := newWires(t, 1)
	ok(t, w.Apply(t.Context(), snapshot(lb.Maglev, with(backend(1), down))))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := w.client.DialContext(ctx, "tcp4", vip.String())
	if err == nil {
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v, want connection refused", err)
	}
}

// 10,000 connections, one backend of four removed: those to the other three
// live, byte for byte, and new ones avoid it.
func TestTenThousandConnectionsOutliveARemovedBackend(t *testing.T) {
	const n = 10000
	w := newWires(t, 4)
	w.startServers(kind{proto: lb.TCP})
	ok(t, w.Apply(t.Context(), snapshot(lb.Maglev, backends(4)...)))
	c := w.startClient(kind{proto: lb.TCP})
	opened := w.order(c, order{Open: n})
	if len(opened.Broken) != 0 || sum(opened.Live) != n {
		t.Fatalf("opened: %+v, want %d connections", opened, n)
	}
	t.Logf("opened in %s: %v", opened.Took, opened.Live)
	for i := 1; i <= 4; i++ {
		if got := opened.Live[fmt.Sprint(i)]; got < n/4-n/20 || got > n/4+n/20 {
			t.Errorf("server %d has %d of %d connections", i, got, n)
		}
	}

	ok(t, w.Apply(t.Context(), snapshot(lb.Maglev, backend(1), backend(2), backend(4))))
	stats, err := w.Stats()
	ok(t, err)
	for _, b := range stats.Services[0].Backends {
		if want := uint64(opened.Live[fmt.Sprint(b.ID)]); b.Counters.Active != want {
			t.Errorf("backend %s has %d active flows, want %d", b.Name, b.Counters.Active, want)
		}
	}
	echoed := w.order(c, order{Echo: 3000})
	t.Logf("echoed in %s: live %v, broken %v", echoed.Took, echoed.Live, echoed.Broken)
	for _, server := range []string{"1", "2", "4"} {
		if echoed.Live[server] != opened.Live[server] {
			t.Errorf("%d connections to server %s live, of %d: %s", echoed.Live[server], server, opened.Live[server], echoed.Error)
		}
	}
	if echoed.Broken["3"] != opened.Live["3"] {
		t.Errorf("%d connections to the removed server broke, of %d: it still gets packets", echoed.Broken["3"], opened.Live["3"])
	}
	renewed := w.order(c, order{Open: 500})
	if len(renewed.Broken) != 0 || renewed.Live["3"] != 0 || sum(renewed.Live) != 500 {
		t.Errorf("new connections: %+v, want 500, none of them to server 3", renewed)
	}
}

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

// NAT beside direct routing to the same servers: 10 MB up and
// down by each service, and no reply takes the other's way.
func TestTrafficUnderNAT(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) { t.Parallel(); passBoth(t, k) })
	}
}

func passBoth(t *testing.T, k kind) {
	w := newWires(t, 2)
	w.startServers(k)
	w.startNATServers(k)
	s := k.snapshot(lb.RoundRobin, backends(2)...)
	nat := k.nat(backends(2)...).Services[0]
	nat.Name, nat.VIP.Addr = "nat", netip.AddrPortFrom(k.vip().Addr(), 81)
	for i := range nat.Backends {
		nat.Backends[i].ID += 10
	}
	s.Services = append(s.Services, nat)
	ok(t, w.Apply(t.Context(), s))
	for i, service := range s.Services {
		c := w.start(w.client, "client", k.proto, service.VIP.Addr)
		if r := w.order(c, order{Open: 4}); r.Live["1"] != 2 || r.Live["2"] != 2 {
			t.Fatalf("four connections to %s: %+v, want two to each server", service.Name, r)
		}
		if r := w.order(c, order{Echo: 10 << 20}); len(r.Broken) != 0 || r.Live["1"]+r.Live["2"] != 4 {
			t.Errorf("10 MiB on each of four connections to %s: %+v", service.Name, r)
		}
		stats, err := w.Stats()
		ok(t, err)
		counters := stats.Services[i].Counters
		if counters.BytesIn < 40<<20 || counters.Connections != 4 || flowsOf(k, counters) != 4 {
			t.Errorf("%s: %+v, want 4 connections, remembered, and more than 40 MiB in", service.Name, counters)
		}
		if out := counters.BytesOut >= 40<<20; out != (service.Forward == lb.NAT) {
			t.Errorf("%s: %+v, want 40 MiB out by nat, none by dr", service.Name, counters)
		}
	}
}

// A reset of the server ends the connection for both sides, and the client is
// told at once when nobody listens.
func TestServersResetReachesTheClientUnderNAT(t *testing.T) {
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			w := newWires(t, 1)
			w.replyOverBalancer(k)
			ok(t, w.Apply(t.Context(), k.nat(backend(1))))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			conn, err := w.client.DialContext(ctx, "tcp", k.vip().String())
			if err == nil {
				conn.Close()
			}
			cancel()
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("dial: %v, want connection refused", err)
			}
			stats, err := w.Stats()
			ok(t, err)
			if c := stats.Services[0].Counters; c.Active != 0 || c.Inactive != 1 {
				t.Errorf("%+v after the reset, want one flow, inactive", c)
			}
		})
	}
}
