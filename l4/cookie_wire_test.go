package l4

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"lbctl/internal/lb"
)

func vipAt(port uint16) netip.AddrPort { return netip.AddrPortFrom(vip.Addr(), port) }
func backendAt(i int, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(backendAddr(i), port)
}

// Real kernels at both ends, which have both agreed on SACK and window scale with
// the balancer: connections that the client opens and the server speaks on first,
// and 10 MiB on each, both ways.
func TestTrafficBehindCookies(t *testing.T) {
	for i, k := range slices.Concat(streams, streams) {
		full := i >= len(streams)
		t.Run(fmt.Sprintf("%s, fullnat %t", k, full), func(t *testing.T) {
			w := newWires(t, 2)
			s := k.nat(backends(2)...)
			if full {
				w.startFullNATServers(k)
				s = k.toldFullNAT(backends(2)...)
			} else {
				w.startNATServers(k)
			}
			s.Services[0].L4.SYNCookies = lb.SYNCookiesAlways
			ok(t, w.Apply(t.Context(), s))
			c := w.startClient(k)
			opened := w.order(c, order{Open: 4})
			if opened.Live["1"] != 2 || opened.Live["2"] != 2 {
				t.Fatalf("four connections: %+v, %v, want two to each server", opened, w.met())
			}
			t.Logf("opened in %s", opened.Took)
			if r := w.order(c, order{Echo: 10 << 20}); len(r.Broken) != 0 || r.Live["1"]+r.Live["2"] != 4 {
				t.Errorf("10 MiB on each of four connections: %+v", r)
			} else {
				t.Logf("echoed in %s", r.Took)
			}
			many := w.order(c, order{Open: 500})
			if len(many.Broken) != 0 || sum(many.Live) != 500 {
				t.Errorf("500 connections: %+v", many)
			}
			t.Logf("500 opened in %s", many.Took)
			if r := w.order(c, order{Echo: 2000}); len(r.Broken) != 0 || sum(r.Live) != 504 {
				t.Errorf("an echo on each: %+v", r)
			}
			met := w.met()
			if met["COOKIE_VALID"] != 504 || met["NEW_FLOW"]+met["ADOPTED"]+met["BROKEN"]+met["NO_TAILROOM"] != 0 {
				t.Errorf("%v", met)
			}
			stats, err := w.Stats()
			ok(t, err)
			if c := stats.Services[0].Counters; c.Connections != 504 || c.Active != 504 {
				t.Errorf("%+v, want 504 connections, all active", c)
			}
		})
	}
}

// met is how many packets met each verdict, of those that any did.
func (w *wires) met() map[string]uint64 {
	w.Helper()
	all, err := w.verdicts()
	ok(w, err)
	out := map[string]uint64{}
	for _, v := range all {
		if v.Packets > 0 {
			out[v.Name] = v.Packets
		}
	}
	return out
}
