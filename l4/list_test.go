package l4

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"lbctl/internal/lb"
)

// The list has each connection once, under nat as well, and the clients that stick.
func TestFlowsAreListed(t *testing.T) {
	r := newRig(t)
	var s lb.Snapshot
	for i, k := range kinds {
		one := k.nat(with(backend(i+1), func(b *lb.Backend) {}))
		one.Services[0].Name = k.String()
		if k == (kind{false, lb.TCP}) {
			one.Services[0].L4.Persist = lb.Persistence{Timeout: time.Hour, Bits4: 24}
		}
		s.Services, s.Revision = append(s.Services, one.Services...), one.Revision
	}
	r.apply(s)
	var want []lb.Flow
	for i, k := range kinds {
		f := lb.Flow{
			Service: k.String(), Proto: k.proto, VIP: k.vip(), Client: netip.AddrPortFrom(k.client(), 7),
			Backend: netip.AddrPortFrom(k.of(backendAddr(i+1)), natPort), State: "SYN_RECV", Expires: 50 * time.Second,
		}
		if r.send(k.from(7, "SYN").bytes()); k.proto == lb.UDP {
			f.State, f.Expires = "UDP", 290*time.Second
		}
		if want = append(want, f); i == 0 {
			f.State, f.Expires, f.Sticky = "NONE", time.Hour-10*time.Second, true
			f.Client = netip.MustParseAddrPort("198.18.1.0:0")
			want = append(want, f)
		}
	}
	r.age(10 * time.Second)
	var got []lb.Flow
	for f, err := range r.Plane.Flows() {
		ok(t, err)
		f.Expires = f.Expires.Round(10 * time.Second)
		got = append(got, f)
	}
	order := func(a, b lb.Flow) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.State, b.State))
	}
	slices.SortFunc(got, order)
	slices.SortFunc(want, order)
	if diff := gocmp.Diff(want, got, gocmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for range r.Plane.Flows() {
		break // must not go on
	}
}

// A backend without a port has the client's; clients stick to it at any.
func TestFlowsOfAnyPortAreListedWithTheirs(t *testing.T) {
	r := newRig(t)
	any := func(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), 0) }
	s := snapshot(lb.RoundRobin, with(backend(1), func(b *lb.Backend) { b.Addr = any(b.Addr) }))
	asked := s.Services[0].VIP.Addr
	s.Services[0].VIP.Addr = any(asked)
	s.Services[0].L4.Persist.Timeout = time.Hour
	r.apply(s)
	r.send(syn(1))
	got := map[bool]netip.AddrPort{}
	for f, err := range r.Plane.Flows() {
		ok(t, err)
		got[f.Sticky] = f.Backend
	}
	if got[false].Port() != asked.Port() || !got[true].IsValid() || got[true].Port() != 0 {
		t.Errorf("a flow to %s, a client that sticks to %s, want ports %d and 0", got[false], got[true], asked.Port())
	}
}
