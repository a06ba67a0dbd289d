package lab

import (
	"net/netip"
	"testing"

	"lbctl/internal/lb"
	"lbctl/internal/scenario"
)

// built is what observe finds after an undisturbed Up of direct(lab, n).
func built(t scenario.Topology) observed {
	hubState := &nodeState{links: map[string]linkState{"lo": {up: true}, "br-lan": {kind: "bridge", index: 2, mtu: 1500, up: true}}}
	seen := observed{nodes: map[string]*nodeState{hub: hubState}}
	for i, node := range t.Nodes {
		port := linkState{kind: "veth", index: 10 + i, peer: 2, master: 2, mtu: 1500, up: true, gro: true}
		end := linkState{kind: "veth", index: 2, peer: 10 + i, mac: node.Links[0].MAC, mtu: 1500, up: true}
		hubState.links[PortName(node.Name, "eth0")] = port
		state := &nodeState{
			links:   map[string]linkState{"lo": {up: true}, "eth0": end},
			addrs:   map[string][]netip.Prefix{"lo": node.Loopback, "eth0": node.Links[0].Addrs},
			routes:  map[routeKey]netip.Addr{},
			sysctls: map[string]string{},
			servers: map[string][]int{},
		}
		for _, s := range node.Sysctls {
			state.sysctls[s.Key] = s.Value
		}
		for _, p := range serversOf(node) {
			state.servers[p.key()] = []int{100 + i}
		}
		seen.nodes[node.Name] = state
	}
	return seen
}

func TestDiffNamesEachThingThatIsNotAsWanted(t *testing.T) {
	const lab = "pure"
	want := direct(lab, 2)
	link := func(seen observed, node, name string, change func(*linkState)) {
		state := seen.nodes[node].links[name]
		change(&state)
		seen.nodes[node].links[name] = state
	}
	const wholeLink = "change link s1 eth0 to lan, mac 02:00:c6:12:04:01, mtu 1500"
	for name, test := range map[string]struct {
		damage func(observed)
		want   []string
	}{
		"nothing":                {func(observed) {}, nil},
		"lo is down":             {func(o observed) { link(o, "c1", "lo", func(l *linkState) { l.up = false }) }, []string{"change link c1 lo up"}},
		"the bridge is down":     {func(o observed) { link(o, hub, "br-lan", func(l *linkState) { l.up = false }) }, []string{"change network lan, mtu 1500"}},
		"a port is down":         {func(o observed) { link(o, hub, "s1-eth0", func(l *linkState) { l.up = false }) }, []string{wholeLink}},
		"a port without GRO":     {func(o observed) { link(o, hub, "s1-eth0", func(l *linkState) { l.gro = false }) }, []string{wholeLink}},
		"a port on no bridge":    {func(o observed) { link(o, hub, "s1-eth0", func(l *linkState) { l.master = 0 }) }, []string{wholeLink}},
		"an end with checksums":  {func(o observed) { link(o, "s1", "eth0", func(l *linkState) { l.txsum = true }) }, []string{wholeLink}},
		"an end with a new MTU":  {func(o observed) { link(o, "s1", "eth0", func(l *linkState) { l.mtu = 9000 }) }, []string{wholeLink}},
		"an end of another pair": {func(o observed) { link(o, "s1", "eth0", func(l *linkState) { l.peer = 99 }) }, []string{wholeLink, "create address s1 198.18.4.1/20 on eth0"}},
		"a sysctl":               {func(o observed) { o.nodes["s2"].sysctls["net.ipv4.conf.all.arp_ignore"] = "0" }, []string{"change sysctl s2 net.ipv4.conf.all.arp_ignore = 1"}},
		"a VIP":                  {func(o observed) { o.nodes["s2"].addrs["lo"] = nil }, []string{"create address s2 198.18.3.1/32 on lo"}},
		"an address by hand": {func(o observed) {
			o.nodes["s2"].addrs["lo"] = append(o.nodes["s2"].addrs["lo"], prefix("192.0.2.1/32"))
		}, nil},
		"a server by hand": {func(o observed) { o.nodes["c1"].servers["server --name mine"] = []int{7} }, nil},
		"two of one server": {func(o observed) {
			for key := range o.nodes["s1"].servers {
				o.nodes["s1"].servers[key] = []int{7, 8}
			}
		}, []string{"delete server s1 second s1 on 0.0.0.0:80, body 100 bytes"}},
		"a server": {func(o observed) { clear(o.nodes["s1"].servers) }, []string{"create server s1 s1 on 0.0.0.0:80, body 100 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := built(want)
			test.damage(seen)
			reg := &registry{Lab: lab, Topologies: []scenario.Topology{want}}
			wantChanges(t, changesOf(diff(reg, want, seen, false)), test.want...)
		})
	}
}

func TestInterfaceNamesFitAndStayApart(t *testing.T) {
	long, longer := PortName("server-number-1", "eth0"), PortName("server-number-10", "eth0")
	for _, name := range []string{long, longer, PortName("s1", "eth0")} {
		if len(name) > maxInterfaceName {
			t.Errorf("%q is too long", name)
		}
	}
	if long == longer || PortName("s1", "eth0") != "s1-eth0" {
		t.Errorf("%q %q %q", long, longer, PortName("s1", "eth0"))
	}
}

// Links keep checksum offload iff L4 is where it does no harm; a change of the
// hook changes each link and nothing else.
func TestTheHookDecidesAboutOffloads(t *testing.T) {
	const lab = "pure"
	native := edit(direct(lab, 1), "lb1", func(n *scenario.Node) { n.Hook = lb.HookNative })
	seen := built(native)
	reg := &registry{Lab: lab, Topologies: []scenario.Topology{native}}
	wantChanges(t, changesOf(diff(reg, native, seen, false)))
	tcx := edit(native, "lb1", func(n *scenario.Node) { n.Hook = lb.HookTCX })
	var want []string
	for _, n := range native.Nodes {
		want = append(want, "change link "+n.Name+" eth0 to lan, mac "+n.Links[0].MAC+", mtu 1500")
	}
	wantChanges(t, changesOf(diff(reg, tcx, seen, false)), want...)
}
