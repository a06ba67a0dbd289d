package lab

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"lbctl/internal/scenario"
)

func TestEditChangesOnlyWhatDiffersAndAConnectionLivesOn(t *testing.T) {
	o := options(t)
	topology := direct("edit", 3)
	lab, _ := mustUp(t, o, topology)
	conn := keepAlive(t, lab, "198.18.4.1:80")
	pid := lab.Servers()[0].PID

	for _, step := range []struct {
		name string
		node string
		edit func(*scenario.Node)
		want []string
	}{
		{"a sysctl on another node", "s2", func(n *scenario.Node) {
			n.Sysctls = append(n.Sysctls, scenario.Sysctl{Key: "net.ipv4.conf.eth0.rp_filter", Value: "2"})
		}, []string{"change sysctl s2 net.ipv4.conf.eth0.rp_filter = 2"}},
		{
			"the sysctl withdrawn", "s2", func(n *scenario.Node) { n.Sysctls = n.Sysctls[:2] },
			[]string{"delete sysctl s2 net.ipv4.conf.eth0.rp_filter = 0"},
		},
		{"an address on the same node", "s1", func(n *scenario.Node) {
			n.Loopback = append(n.Loopback, prefix("198.18.3.2/32"))
		}, []string{"create address s1 198.18.3.2/32 on lo"}},
		{
			"the address withdrawn", "s1", func(n *scenario.Node) { n.Loopback = n.Loopback[:1] },
			[]string{"delete address s1 198.18.3.2/32 on lo"},
		},
		{
			"another server's body", "s2", func(n *scenario.Node) { n.Servers[0].Body = 200 },
			[]string{"change server s2 s2 on 0.0.0.0:80, body 200 bytes"},
		},
		{"a route", "c1", func(n *scenario.Node) {
			n.Routes = []scenario.Route{{Dst: prefix("203.0.113.0/24"), Via: netip.MustParseAddr("198.18.2.1")}}
		}, []string{"create route c1 203.0.113.0/24 via 198.18.2.1"}},
		{
			"the route through another", "c1", func(n *scenario.Node) { n.Routes[0].Via = netip.MustParseAddr("198.18.4.1") },
			[]string{"change route c1 203.0.113.0/24 via 198.18.4.1"},
		},
		{
			"the route withdrawn", "c1", func(n *scenario.Node) { n.Routes = nil },
			[]string{"delete route c1 203.0.113.0/24 via 198.18.4.1"},
		},
		{"a route for one source", "s2", func(n *scenario.Node) {
			n.Routes = []scenario.Route{
				{Dst: prefix("0.0.0.0/0"), Via: netip.MustParseAddr("198.18.2.1")},
				{Dst: prefix("0.0.0.0/0"), Via: netip.MustParseAddr("198.18.2.1"), From: netip.MustParseAddr("198.18.12.2")},
			}
		}, []string{
			"create route s2 0.0.0.0/0 via 198.18.2.1",
			"create route s2 0.0.0.0/0 via 198.18.2.1 from 198.18.12.2",
		}},
		{
			"that route through another", "s2", func(n *scenario.Node) { n.Routes[1].Via = netip.MustParseAddr("198.18.4.1") },
			[]string{"change route s2 0.0.0.0/0 via 198.18.4.1 from 198.18.12.2"},
		},
		{
			"that route withdrawn", "s2", func(n *scenario.Node) { n.Routes = n.Routes[:1] },
			[]string{"delete route s2 0.0.0.0/0 via 198.18.4.1 from 198.18.12.2"},
		},
		{
			"the other, too", "s2", func(n *scenario.Node) { n.Routes = nil },
			[]string{"delete route s2 0.0.0.0/0 via 198.18.2.1"},
		},
		{
			"prefixes of its own", "s2", func(n *scenario.Node) {
				n.Local = []netip.Prefix{prefix("198.18.100.0/24"), prefix("198.18.101.0/24")}
			}, []string{"create route s2 local 198.18.100.0/24", "create route s2 local 198.18.101.0/24"},
		},
		{
			"one withdrawn", "s2", func(n *scenario.Node) { n.Local = n.Local[1:] },
			[]string{"delete route s2 local 198.18.100.0/24"},
		},
		{
			"the other withdrawn", "s2", func(n *scenario.Node) { n.Local = nil },
			[]string{"delete route s2 local 198.18.101.0/24"},
		},
		{
			"another node's MAC", "s3", func(n *scenario.Node) { n.Links[0].MAC = "02:00:00:00:00:99" },
			[]string{"change link s3 eth0 to lan, mac 02:00:00:00:00:99, mtu 1500"},
		},
	} {
		topology = edit(topology, step.node, step.edit)
		_, changes := mustUp(t, o, topology)
		t.Log(step.name)
		wantChanges(t, changes, step.want...)
		_, changes = mustUp(t, o, topology)
		wantChanges(t, changes)
		conn.request(t)
	}
	if got := lab.Servers()[0].PID; got != pid {
		t.Errorf("s1's server is pid %d now, was %d", got, pid)
	}
}

func TestMTUNodesAndNetworksCanChange(t *testing.T) {
	o := options(t)
	topology := direct("grow", 2)
	lab, _ := mustUp(t, o, topology)
	conn := keepAlive(t, lab, "198.18.4.1:80")

	topology = edit(topology, "", nil)
	topology.Networks[0].MTU = 4000
	_, changes := mustUp(t, o, topology)
	if len(changes) != 5 { // the bridge and four links
		t.Errorf("MTU: %v", changes)
	}
	conn.request(t)

	bigger := direct("grow", 3)
	bigger.Networks[0].MTU = 4000
	bigger.Networks = append(bigger.Networks, scenario.Network{Name: "empty", Subnet: prefix("198.18.16.0/20"), MTU: 1500})
	lab, changes = mustUp(t, o, bigger)
	for _, c := range changes {
		if c.Op != OpCreate || (c.Node != "s3" && c.Kind != KindNetwork) {
			t.Errorf("growing: %v", c)
		}
	}
	if got := get(t, from(t, lab, "c1"), "http://198.18.4.3/"); got != "s3" {
		t.Errorf("%q answered", got)
	}
	_, changes = mustUp(t, o, topology)
	wantChanges(t, changes, "delete namespace s3", "delete network empty")
	conn.request(t)
	_, changes = mustUp(t, o, topology)
	wantChanges(t, changes)
}

// connection is one TCP connection that must not break.
type connection struct {
	net.Conn
	r *bufio.Reader
}

func keepAlive(t *testing.T, lab *Lab, addr string) *connection {
	t.Helper()
	h, err := lab.Node("c1")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	conn, err := h.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &connection{conn, bufio.NewReader(conn)}
	c.request(t)
	return c
}

func (c *connection) request(t *testing.T) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatalf("the connection broke: %v", err)
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatalf("the connection broke: %v", err)
		}
		if line == "\r\n" {
			return
		}
	}
}
