package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/internal/lb"
)

func TestTheShortFormMeansWhatAnExpertWouldChoose(t *testing.T) {
	s := load(t, repository+"l4-vs-l7.yaml")
	backends := []lb.Backend{
		{Name: "s1", Addr: netip.MustParseAddrPort("198.18.4.1:80"), Weight: 1},
		{Name: "s2", Addr: netip.MustParseAddrPort("198.18.4.2:80"), Weight: 1},
		{Name: "s3", Addr: netip.MustParseAddrPort("198.18.4.3:80"), Weight: 1},
	}
	want := lb.Config{
		Services: []lb.Service{
			{
				Name: "web-l4", Plane: lb.L4, Forward: lb.DirectRouting, Policy: lb.Maglev, Check: "default", Backends: backends,
				VIP: lb.VIP{Addr: netip.MustParseAddrPort("198.18.3.1:80"), Proto: lb.TCP},
				L4:  lb.L4Options{Ports: true, Fallback: true},
			},
			{
				Name: "web-l7", Plane: lb.L7, Policy: lb.WeightedRoundRobin, Check: "default", Backends: backends,
				VIP: lb.VIP{Addr: netip.MustParseAddrPort("198.18.3.2:80"), Proto: lb.TCP},
				HTTP: lb.HTTP{
					ClientHeadTimeout: 10 * time.Second, ClientIdleTimeout: time.Minute, ConnectTimeout: time.Second,
					BackendHeadTimeout: 30 * time.Second, Retries: 2, IdleConns: 1024, IdleConnTimeout: 30 * time.Second, IdleConnMaxAge: time.Hour,
					ClientBodyTimeout: time.Minute, BackendIdleTimeout: time.Minute, TunnelTimeout: time.Hour,
					ResponseBuffer: 64 << 10, Limits: lb.Limits{Line: 8192, Head: 65536, Fields: 256}, Queue: lb.Queue{Length: 1024},
				},
			},
		},
		Checks: []lb.Check{{
			Name: "default", Kind: lb.CheckHTTP, HTTP: lb.HTTPProbe{Method: "GET", Path: "/", StatusMin: 200, StatusMax: 399},
			Interval: time.Second, FastInterval: 250 * time.Millisecond, Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3,
		}},
	}
	if diff := cmp.Diff(want, s.Config, byValue()); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	load := Workload{Name: "keepalive", Connections: 64, KeepAlive: true, Path: "/", Duration: 2 * time.Second, Warmup: time.Second / 2, Timeout: 5 * time.Second}
	connect := load
	connect.Name, connect.KeepAlive = "connect", false
	if diff := cmp.Diff([]Workload{load, connect}, s.Workloads); diff != "" {
		t.Errorf("workloads (-want +got):\n%s", diff)
	}
	compare := Compare{Services: []string{"web-l4", "web-l7"}, Workloads: []string{"keepalive", "connect"}, Rounds: 4}
	if diff := cmp.Diff(compare, s.Compare); diff != "" {
		t.Errorf("compare (-want +got):\n%s", diff)
	}
	if got := fmt.Sprint(s.Topology.Networks); got != "[{lan 198.18.0.0/20 invalid Prefix 1500}]" {
		t.Errorf("networks %s", got)
	}
	if got := links(s); got != "c1 lan:198.18.1.1/20 | lb1 lan:198.18.2.1/20,198.18.3.1/32,198.18.3.2/32 | "+
		"s1 lan:198.18.4.1/20 | s2 lan:198.18.4.2/20 | s3 lan:198.18.4.3/20" {
		t.Errorf("links %s", got)
	}
}

func links(s *Scenario) string {
	var nodes []string
	for _, n := range s.Topology.Nodes {
		text := n.Name
		for _, l := range n.Links {
			text += " " + l.Network + ":" + strings.Join(strs(l.Addrs), ",")
		}
		nodes = append(nodes, text)
	}
	return strings.Join(nodes, " | ")
}

func strs[T fmt.Stringer](items []T) []string {
	var out []string
	for _, i := range items {
		out = append(out, i.String())
	}
	return out
}

func TestWithoutWorkloadsThereAreTheTwoThatShowBothCosts(t *testing.T) {
	s := resolve(t, "name: x\nservices:\n  web: {plane: l7}\n")
	if diff := cmp.Diff(load(t, repository+"l4-vs-l7.yaml").Workloads, s.Workloads); diff != "" {
		t.Error(diff)
	}
	if len(s.Compare.Services) != 0 || s.Compare.Rounds != 4 || len(s.Compare.Workloads) != 2 {
		t.Errorf("compare %+v", s.Compare)
	}
}

func TestADirectRoutingBackendHidesTheVIPFromARP(t *testing.T) {
	s := load(t, repository+"l4-vs-l7.yaml")
	n := nodeOf(t, s, "s2")
	if got := fmt.Sprint(n.Loopback); got != "[198.18.3.1/32]" {
		t.Errorf("loopback %s: want the VIP of web-l4 only", got)
	}
	for _, want := range []Sysctl{
		{"net.ipv4.conf.all.arp_ignore", "1"},
		{"net.ipv4.conf.eth0.arp_ignore", "1"},
		{"net.ipv4.conf.all.arp_announce", "2"},
		{"net.ipv4.conf.eth0.arp_announce", "2"},
		{"net.ipv4.conf.all.rp_filter", "0"},
		{"net.ipv4.ip_forward", "0"},
	} {
		if !slices.Contains(n.Sysctls, want) {
			t.Errorf("s2 has no %s = %s", want.Key, want.Value)
		}
	}
	if n := nodeOf(t, load(t, repository+"same-twice.yaml"), "s1"); len(n.Loopback) != 0 || slices.Contains(n.Sysctls, Sysctl{"net.ipv4.conf.all.arp_ignore", "1"}) {
		t.Errorf("a server behind l7 only: %+v", n)
	}
}

func TestServersListenWhereBackendsAndChecksAre(t *testing.T) {
	s := resolve(t, `
name: x
servers: 2
nodes:
  s1: {ports: [9000], body: 1KiB}
services:
  web:
    plane: l7
    check: {port: 8081}
    backends: [{node: s1, port: 8080}, s1]
`)
	var got []string
	for _, v := range nodeOf(t, s, "s1").Servers {
		got = append(got, fmt.Sprintf("%s %s %d", v.Name, v.Addr, v.Body))
	}
	if text := strings.Join(got, ", "); text != "s1 0.0.0.0:80 1024, s1 0.0.0.0:8080 1024, s1 0.0.0.0:8081 1024, s1 0.0.0.0:9000 1024" {
		t.Errorf("s1 listens: %s", text)
	}
	if n := nodeOf(t, s, "s2"); len(n.Servers) != 0 {
		t.Errorf("s2 is no backend and listens: %v", n.Servers)
	}
	names := []string{s.Config.Services[0].Backends[0].Name, s.Config.Services[0].Backends[1].Name}
	if diff := cmp.Diff([]string{"s1:8080", "s1"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestChecksAreNamedInlineDefaultAndNone(t *testing.T) {
	s := resolve(t, `
name: x
services:
  a: {plane: l7, check: {kind: tcp, interval: 200ms}}
  b: {plane: l7, check: none}
  c: {plane: l7}
  d: {plane: l7, check: slow}
checks:
  default: {path: /healthz, status: 200}
  slow: {interval: 4s, header: {Server: lbctl}}
  unused: {}
`)
	var got []string
	for _, svc := range s.Config.Services {
		got = append(got, svc.Check)
	}
	if diff := cmp.Diff([]string{"a", "", "default", "slow"}, got); diff != "" {
		t.Error(diff)
	}
	want := []lb.Check{
		{Name: "a", Kind: lb.CheckTCP, Interval: 200 * time.Millisecond, FastInterval: 50 * time.Millisecond, Timeout: 100 * time.Millisecond, Rise: 2, Fall: 3},
		{
			Name: "default", Kind: lb.CheckHTTP, HTTP: lb.HTTPProbe{Method: "GET", Path: "/healthz", StatusMin: 200, StatusMax: 200},
			Interval: time.Second, FastInterval: 250 * time.Millisecond, Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3,
		},
		{
			Name: "slow", Kind: lb.CheckHTTP, HTTP: lb.HTTPProbe{Method: "GET", Path: "/", StatusMin: 200, StatusMax: 399, Header: map[string]string{"Server": "lbctl"}},
			Interval: 4 * time.Second, FastInterval: time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 3,
		},
	}
	if diff := cmp.Diff(want, s.Config.Checks); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTypedSysctlsReplaceTheLabsOwnInPlace(t *testing.T) {
	s := resolve(t, `
name: x
nodes:
  c1:
    sysctls: {net.ipv4.tcp_tw_reuse: 0, net.ipv4.tcp_rmem: "4096 131072 6291456"}
services:
  web: {plane: l7}
`)
	got := nodeOf(t, s, "c1").Sysctls
	if !slices.Contains(got, Sysctl{"net.ipv4.tcp_tw_reuse", "0"}) || got[len(got)-1] != (Sysctl{"net.ipv4.tcp_rmem", "4096 131072 6291456"}) {
		t.Errorf("sysctls %v", got)
	}
	checkInvariants(t, s)
}

func TestNoneIsNotTheDefault(t *testing.T) {
	sc, err := understand("x.yaml", []byte("name: x\nservices:\n  a: {plane: l7, http: {retries: 0, idle_conns: 0}}\n  b: {plane: l7}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if h := sc.Config.Services[0].HTTP; h.Retries >= 0 || h.IdleConns >= 0 {
		t.Errorf("retries 0 and idle_conns 0 became %d and %d, of which 0 is the plane's default and below 0 is none", h.Retries, h.IdleConns)
	}
	if h := sc.Config.Services[1].HTTP; h.Retries != 2 || h.IdleConns != 1024 {
		t.Errorf("defaults: %+v", h)
	}
}
