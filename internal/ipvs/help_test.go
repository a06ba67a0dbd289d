package ipvs

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// addr is backend i: 10.2.0.i:80.
func addr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 2, 0, byte(i)}), 80)
}

// number is i of backend i.
func number(a netip.AddrPort) int { return int(a.Addr().As4()[3]) }

// client is the i-th client, each with its own address and port.
func client(i int) Packet {
	return Packet{
		Src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), uint16(1024+i*7)),
		Dst: netip.MustParseAddrPort("10.1.0.1:80"),
	}
}

// to is a packet for destination address i.
func to(i int) Packet {
	p := client(i)
	p.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 80)
	return p
}

// service returns a scheduler whose list is backends 1, 2, 3 … of these weights:
// the last one is added first.
func service(t testing.TB, name string, o Options, weights ...uint32) *Scheduler {
	t.Helper()
	s, err := New(name, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(weights); i > 0; i-- {
		must(t, s.Add(Backend{Addr: addr(i), Weight: weights[i-1]}))
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// choices schedules n clients, opens nothing, and returns the backends' numbers,
// "-" for none.
func choices(s *Scheduler, n int) string {
	var b strings.Builder
	for i := range n {
		if a, ok := s.Schedule(client(i), 0); ok {
			fmt.Fprint(&b, number(a))
		} else {
			b.WriteByte('-')
		}
	}
	return b.String()
}

// connections is as choices, but each one stays open and active.
func connections(s *Scheduler, n int) string {
	var b strings.Builder
	for i := range n {
		if f, ok := s.Connect(client(i), 0); ok {
			f.SetActive(true)
			fmt.Fprint(&b, number(f.To()))
		} else {
			b.WriteByte('-')
		}
	}
	return b.String()
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("chose %s, want %s", got, want)
	}
}

// flows opens n flows to backend i.
func flows(t testing.TB, s *Scheduler, i, n int, active bool) []*Flow {
	t.Helper()
	list := make([]*Flow, n)
	for k := range list {
		f, err := s.Open(addr(i))
		must(t, err)
		f.SetActive(active)
		list[k] = f
	}
	return list
}

// shares counts the choices of n clients.
func shares(s *Scheduler, n int) map[int]int {
	got := map[int]int{}
	for i := range n {
		if a, ok := s.Schedule(client(i), 0); ok {
			got[number(a)]++
		}
	}
	return got
}

func goes(t *testing.T, s *Scheduler, p Packet, now time.Duration, backend int) {
	t.Helper()
	a, ok := s.Schedule(p, now)
	if !ok || number(a) != backend {
		t.Errorf("%s went to %v %v, want backend %d", p.Dst, a, ok, backend)
	}
}
