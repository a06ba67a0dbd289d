package lab

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/scenario"
)

func TestUpConnectsNodesAndSecondUpChangesNothing(t *testing.T) {
	o := options(t)
	before := machine(t, o)
	topology := direct("first", 2)
	planned, err := Plan(o, topology)
	if err != nil {
		t.Fatal(err)
	}
	if after := machine(t, o); !slices.Equal(before, after) {
		t.Fatalf("Plan left %v", after)
	}
	lab, done := mustUp(t, o, topology)
	var texts []string
	for _, c := range planned {
		texts = append(texts, c.String())
	}
	wantChanges(t, done, texts...)
	client := from(t, lab, "c1")
	for _, name := range []string{"s1", "s2"} {
		if got := get(t, client, "http://198.18.4."+name[1:]+"/"); got != name {
			t.Errorf("%s answered for %s", got, name)
		}
	}
	_, again := mustUp(t, o, topology)
	wantChanges(t, again)
	if infos, err := List(o); err != nil || len(infos) != 1 || infos[0].State != StateUp || infos[0].Nodes != 4 || infos[0].Daemon {
		t.Errorf("List = %+v, %v", infos, err)
	}
	for _, link := range machine(t, o) {
		if strings.HasPrefix(link, "link ") && !slices.Contains(before, link) {
			t.Errorf("the host sees %s", link)
		}
	}
}

// A VIP on lo of both servers must not be claimed by ARP: the client resolves
// it to the balancer, and to nobody else.
func TestVIPOnLoopbackIsNotAnnounced(t *testing.T) {
	o := options(t)
	lab, _ := mustUp(t, o, direct("vip", 2))
	c1, err := lab.Node("c1")
	if err != nil {
		t.Fatal(err)
	}
	defer c1.Close()
	for range 5 { // the balancer has no service: it refuses
		if _, err := c1.DialContext(t.Context(), "tcp", "198.18.3.1:80"); err == nil {
			t.Fatal("a server claimed the VIP")
		}
	}
	nl, err := c1.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	neighbours, err := nl.NeighList(0, unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range neighbours {
		if n.IP.String() == "198.18.3.1" && n.HardwareAddr.String() != "02:00:c6:12:02:01" {
			t.Errorf("the VIP is at %s", n.HardwareAddr)
		}
	}
	// It is there all the same: a server answers for it to itself.
	if got := get(t, from(t, lab, "s2"), "http://198.18.3.1/"); got != "s2" {
		t.Errorf("%q answered", got)
	}
}

// routed puts the client behind a router, with IPv6 on the way.
func routed(lab string) scenario.Topology {
	link := func(name, network, mac string, addrs ...string) scenario.Link {
		l := scenario.Link{Name: name, Network: network, MAC: mac}
		for _, a := range addrs {
			l.Addrs = append(l.Addrs, prefix(a))
		}
		return l
	}
	route := func(dst, via string) scenario.Route {
		return scenario.Route{Dst: prefix(dst), Via: netip.MustParseAddr(via)}
	}
	return scenario.Topology{
		Lab: lab,
		Networks: []scenario.Network{
			{Name: "outside-with-a-long-name", Subnet: prefix("198.18.0.0/20"), Subnet6: prefix("2001:2::/64"), MTU: 1500},
			{Name: "inside", Subnet: prefix("198.18.16.0/20"), Subnet6: prefix("2001:2:0:1::/64"), MTU: 1500},
		},
		Nodes: []scenario.Node{
			{
				Name: "c1", Role: scenario.RoleClient,
				Links:  []scenario.Link{link("eth0", "outside-with-a-long-name", "02:00:00:00:00:01", "198.18.1.1/20", "2001:2::1:1/64")},
				Routes: []scenario.Route{route("198.18.16.0/20", "198.18.0.1"), route("::/0", "2001:2::1")},
			},
			{
				Name: "router-with-a-long-name", Role: scenario.RoleRouter,
				Links: []scenario.Link{
					link("eth0", "outside-with-a-long-name", "02:00:00:00:00:02", "198.18.0.1/20", "2001:2::1/64"),
					link("eth1", "inside", "02:00:00:00:00:03", "198.18.16.1/20", "2001:2:0:1::1/64"),
				},
				Sysctls: []scenario.Sysctl{{Key: "net.ipv4.ip_forward", Value: "1"}, {Key: "net.ipv6.conf.all.forwarding", Value: "1"}},
			},
			{
				Name: "s1", Role: scenario.RoleServer,
				Links:   []scenario.Link{link("eth0", "inside", "02:00:00:00:00:04", "198.18.20.1/20", "2001:2:0:1::4:1/64")},
				Routes:  []scenario.Route{route("0.0.0.0/0", "198.18.16.1"), route("::/0", "2001:2:0:1::1")},
				Servers: []scenario.Server{{Name: "s1", Addr: netip.MustParseAddrPort("[::]:80"), Body: 1}, {Name: "s1", Addr: netip.MustParseAddrPort("0.0.0.0:8080"), Body: 1}},
			},
		},
	}
}

func TestRouterForwardsBothFamilies(t *testing.T) {
	o := options(t)
	lab, _ := mustUp(t, o, routed("routed"))
	client := from(t, lab, "c1")
	for _, host := range []string{"198.18.20.1:8080", "[2001:2:0:1::4:1]:80"} {
		if got := get(t, client, "http://"+host+"/"); got != "s1" {
			t.Errorf("%q answered at %s", got, host)
		}
	}
	_, again := mustUp(t, o, routed("routed"))
	wantChanges(t, again)
}

func TestNodeWithoutIPv6HasNone(t *testing.T) {
	o := options(t)
	lab, _ := mustUp(t, o, direct("no6", 1))
	for _, node := range []string{hub, "c1", "s1"} {
		h, err := lab.open(node)
		if err != nil {
			t.Fatal(err)
		}
		nl, err := h.Netlink()
		if err != nil {
			t.Fatal(err)
		}
		if addrs, err := nl.AddrList(nil, unix.AF_INET6); err != nil || len(addrs) > 0 {
			t.Errorf("%s has IPv6 addresses %v, %v", node, addrs, err)
		}
		nl.Close()
		h.Close()
	}
}

func TestKilledServerIsPlannedAndRestarted(t *testing.T) {
	o := options(t)
	topology := direct("killed", 2)
	lab, _ := mustUp(t, o, topology)
	if err := unix.Kill(lab.Servers()[1].PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); lab.Servers()[1].Alive && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	want := "create server s2 s2 on 0.0.0.0:80, body 100 bytes"
	plan, err := Plan(o, topology)
	if err != nil {
		t.Fatal(err)
	}
	wantChanges(t, plan, want)
	_, changes := mustUp(t, o, topology)
	wantChanges(t, changes, want)
	if !lab.Servers()[1].Alive {
		t.Error("the server is not back")
	}
}

func TestUpRepairsWhatWasBrokenByHand(t *testing.T) {
	o := options(t)
	topology := direct("repair", 2)
	lab, _ := mustUp(t, o, topology)
	h, err := lab.Hub()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	s, err := openSpace(h)
	if err != nil {
		t.Fatal(err)
	}
	port, err := s.nl.LinkByName("s1-eth0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.nl.LinkDel(port); err != nil {
		t.Fatal(err)
	}
	if err := setOffload(s.sock, "s2-eth0", gro, false); err != nil {
		t.Fatal(err)
	}
	_, changes := mustUp(t, o, topology)
	wantChanges(t, changes, "create link s1 eth0 to lan, mac 02:00:c6:12:04:01, mtu 1500",
		"create address s1 198.18.4.1/20 on eth0", "change link s2 eth0 to lan, mac 02:00:c6:12:04:02, mtu 1500")
	if got := get(t, from(t, lab, "c1"), "http://198.18.4.1/"); got != "s1" {
		t.Errorf("%q answered", got)
	}
}

func TestLabsWithTheSameAddressesLiveSideBySide(t *testing.T) {
	o := options(t)
	left, _ := mustUp(t, o, direct("left", 1))
	right := direct("right", 1)
	right = edit(right, "s1", func(n *scenario.Node) { n.Servers[0].Name = "other" })
	other, _ := mustUp(t, o, right)
	if got := get(t, from(t, left, "c1"), "http://198.18.4.1/"); got != "s1" {
		t.Errorf("left: %q answered", got)
	}
	if got := get(t, from(t, other, "c1"), "http://198.18.4.1/"); got != "other" {
		t.Errorf("right: %q answered", got)
	}
	if err := Down(t.Context(), o, "left"); err != nil {
		t.Fatal(err)
	}
	if got := get(t, from(t, other, "c1"), "http://198.18.4.1/"); got != "other" {
		t.Errorf("right after left's down: %q answered", got)
	}
}

func TestServerThatCannotStartIsReportedWithItsLog(t *testing.T) {
	o := options(t)
	topology := edit(direct("broken", 1), "s1", func(n *scenario.Node) {
		n.Servers[0].Addr = netip.MustParseAddrPort("192.0.2.1:80") // not the node's
	})
	_, _, err := Up(t.Context(), o, topology)
	if err == nil || !strings.Contains(err.Error(), "cannot assign requested address") {
		t.Fatalf("error: %v", err)
	}
	if infos, err := List(o); err != nil || infos[0].State != StateHalfWay {
		t.Errorf("List = %+v, %v", infos, err)
	}
	_, changes := mustUp(t, o, direct("broken", 1))
	wantChanges(t, changes, "create server s1 s1 on 0.0.0.0:80, body 100 bytes")
}

// An Up that did not come to its end has left things that are in no completed
// topology. They go all the same.
func TestWhatAnAbandonedUpMadeIsTakenAway(t *testing.T) {
	o := options(t)
	topology := direct("abandoned", 1)
	mustUp(t, o, topology)
	abandoned := edit(topology, "s1", func(n *scenario.Node) {
		n.Loopback = append(n.Loopback, prefix("198.18.3.9/32"))
		n.Servers = append(n.Servers, scenario.Server{Name: "no", Addr: netip.MustParseAddrPort("192.0.2.1:80")})
	})
	abandoned.Networks = append(abandoned.Networks, scenario.Network{Name: "second", Subnet: prefix("198.18.16.0/20")})
	if _, changes, err := Up(t.Context(), o, abandoned); err == nil || len(changes) != 2 {
		t.Fatalf("Up = %v, %v; want two changes and an error", changes, err)
	}
	_, changes := mustUp(t, o, topology)
	wantChanges(t, changes, "delete address s1 198.18.3.9/32 on lo", "delete network second")
}

func TestProgressCountsUpToItsTotal(t *testing.T) {
	o := options(t)
	var last, total int
	o.Progress = func(done, of int, what string) {
		if done < last || of < total || done > of || what == "" {
			t.Errorf("%d of %d %q after %d of %d", done, of, what, last, total)
		}
		last, total = done, of
	}
	mustUp(t, o, direct("progress", 2))
	if last != total || total == 0 {
		t.Errorf("%d of %d at the end", last, total)
	}
	last, total = 0, 0
	if err := Down(t.Context(), o, "progress"); err != nil || last != total || total == 0 {
		t.Errorf("%d of %d at the end, %v", last, total, err)
	}
}

func TestTopologyThatReachesOutsideIsRefused(t *testing.T) {
	o := options(t)
	for want, topology := range map[string]scenario.Topology{
		"lab name":           direct("../etc", 1),
		"node name":          edit(direct("x", 1), "s1", func(n *scenario.Node) { n.Name = hub }),
		"belong to a node":   edit(direct("x", 1), "s1", func(n *scenario.Node) { n.Sysctls[0].Key = "kernel.panic" }),
		"no network":         edit(direct("x", 1), "s1", func(n *scenario.Node) { n.Links[0].Network = "wan" }),
		"both called":        edit(direct("x", 2), "s1", func(n *scenario.Node) { n.Name = "s2" }),
		"not an interface":   edit(direct("x", 1), "s1", func(n *scenario.Node) { n.Links[0].Name = "a/b" }),
		"invalid MAC":        edit(direct("x", 1), "s1", func(n *scenario.Node) { n.Links[0].MAC = "?" }),
		`"net..kernel.panic`: edit(direct("x", 1), "s1", func(n *scenario.Node) { n.Sysctls[0].Key = "net..kernel.panic" }),
	} {
		if _, _, err := Up(t.Context(), o, topology); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if err := Down(t.Context(), o, "../etc"); err == nil {
		t.Error("Down took a path")
	}
}

func TestUpPlanAndDownCloseWhatTheyOpen(t *testing.T) {
	o := options(t)
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	mustUp(t, o, direct("files", 3)) // opens what the run-time keeps
	before := open()
	for range 3 {
		mustUp(t, o, direct("files", 3))
		if _, err := Plan(o, direct("files", 4)); err != nil {
			t.Fatal(err)
		}
		if err := Down(t.Context(), o, "files"); err != nil {
			t.Fatal(err)
		}
		mustUp(t, o, direct("files", 3))
	}
	deadline := time.Now().Add(2 * time.Second) // a server's end is noticed by a goroutine
	for open() > before && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if after := open(); after > before {
		t.Errorf("%d files are open, were %d", after, before)
	}
}
