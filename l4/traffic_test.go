package l4

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// forwarding is a way of delivering: what real traffic by it needs, and what its
// packets look like, as gopacket builds them.
type forwarding struct {
	name     string
	prepare  func(*wires, kind)
	snapshot func(kind, ...lb.Backend) lb.Snapshot
	room     int  // the longest packet that gets through links with an MTU of 1500
	replies  bool // come back over the balancer

	request func(x *scene, s *segment, at server, damage ...func([]byte) []byte) []byte // the client's packet as the server gets it
	got     func(x *scene, s *segment, at server) *segment                              // the same without the frame, where replies come back over the balancer
	reply   func(x *scene, s *segment) *segment                                         // what a server sends there, of what it sends under nat
	sent    func(x *scene, s *segment, at server) *segment                              // what the server has sent, of what the client got
	about   func(x *scene, m icmp, at server) []byte                                    // an error about that, its quote translated, as the server gets it
}

func forwardings() []forwarding {
	all := []forwarding{
		{
			name: "dr", room: 1500, prepare: (*wires).startServers,
			snapshot: func(k kind, b ...lb.Backend) lb.Snapshot { return k.snapshot(lb.RoundRobin, b...) },
			request:  requestByDR, sent: sentAsGot, about: aboutByDR,
		},
		{
			name: "nat", room: 1500, prepare: (*wires).startNATServers, snapshot: kind.nat, replies: true,
			request: requestByNAT, got: gotByNAT, reply: replyByNAT, sent: sentByNAT, about: aboutByNAT,
		},
		{
			name: "fullnat", room: 1500, prepare: (*wires).startFullNATServers, snapshot: kind.toldFullNAT, replies: true,
			request: requestByFullNAT, got: gotByFullNAT, reply: replyByFullNAT, sent: sentByFullNAT, about: aboutByFullNAT,
		},
	}
	for _, by := range tunnels {
		all = append(all, forwarding{
			name: by.String(), room: 1500 - by.overhead(),
			prepare:  func(w *wires, k kind) { w.unwrap(by); w.startServers(k) },
			snapshot: func(k kind, b ...lb.Backend) lb.Snapshot { return k.tun(by, b...) },
			request:  by.request, sent: sentAsGot, about: by.about,
		})
	}
	return all
}

// startFullNATServers: the balancer answers for local addresses, and that is all that brings replies to it.
func (w *wires) startFullNATServers(k kind) {
	w.Helper()
	w.inside(w.balancer, func() {
		for _, pool := range pools {
			for a := pool.Addr(); pool.Contains(a); a = a.Next() {
				address(w, "eth0", a, a.BitLen())
			}
		}
	})
	w.startServersAt(k)
}

// toldFullNAT tells servers of TCP who the client is.
func (k kind) toldFullNAT(backends ...lb.Backend) lb.Snapshot {
	s := k.fullnat(backends...)
	s.Services[0].L4.TOA = k.proto == lb.TCP
	return s
}

// startNATServers starts servers that know of no VIP.
func (w *wires) startNATServers(k kind) {
	w.Helper()
	w.replyOverBalancer(k)
	w.startServersAt(k)
}

// startServersAt starts servers at their own addresses.
func (w *wires) startServersAt(k kind) {
	w.Helper()
	for i, ns := range w.servers {
		addr := netip.AddrPortFrom(k.of(backendAddr(i+1)), natPort)
		w.awaitReady(w.start(ns, fmt.Sprint(i+1), k.proto, addr))
	}
}

// decapPin is the pin folder of server i.
func (w *wires) decapPin(i int) string {
	return filepath.Join(w.Plane.options.PinDir, fmt.Sprintf("decap-%d", i))
}

// unwrap makes the servers take packets to the VIPs out of tunnels from the balancer.
func (w *wires) unwrap(by tunnel) {
	w.Helper()
	k := kind{six: by.six}
	source := k.of(balancer)
	for i, ns := range w.servers {
		ok(w, AttachDecap(DecapOptions{NetNS: ns, Interfaces: []string{"eth0"}, PinDir: w.decapPin(i + 1)}, lb.Decap{
			Ends:    []lb.TunnelEnd{{Addr: k.of(backendAddr(i + 1)), By: by.encapsulation()}},
			Sources: []netip.Prefix{netip.PrefixFrom(source, source.BitLen())},
			VIPs:    []netip.Addr{vip.Addr(), kind{six: true}.vip().Addr()},
		}))
	}
}

// Real traffic by every way of forwarding: 10 MiB up and down again on each
// connection, byte for byte. All links have an MTU of 1500 and servers say so to
// the client, who must find out what fits from the balancer's answers alone.
func TestTrafficByEveryForward(t *testing.T) {
	for _, f := range forwardings() {
		for _, k := range kinds {
			t.Run(f.name+", "+k.String(), func(t *testing.T) { t.Parallel(); passTraffic(t, f, k) })
		}
	}
}

func passTraffic(t *testing.T, f forwarding, k kind) {
	w := newWires(t, 2)
	w.inside(w.client, func() { sysctl(t, "net/ipv4/ip_no_pmtu_disc", "0") })
	f.prepare(w, k)
	ok(t, w.Apply(t.Context(), f.snapshot(k, backends(2)...)))
	c := w.startClient(k)
	if r := w.order(c, order{Open: 4}); r.Live["1"] != 2 || r.Live["2"] != 2 {
		t.Fatalf("four connections: %+v, want two to each server", r)
	}
	if r := w.order(c, order{Echo: 10 << 20}); len(r.Broken) != 0 || r.Live["1"]+r.Live["2"] != 4 {
		t.Errorf("10 MiB on each of four connections: %+v", r)
	} else if dropped := w.dropped(); r.Resent > dropped {
		t.Errorf("%d datagrams got no answer, and the kernel has dropped %d packets here", r.Resent, dropped)
	}
	stats, err := w.Stats()
	ok(t, err)
	if t.Failed() {
		w.explain(stats)
	}
	counters := stats.Services[0].Counters
	if counters.BytesIn < 40<<20 || counters.Connections != 4 || flowsOf(k, counters) != 4 {
		t.Errorf("%+v, want 4 connections, remembered, and more than 40 MiB in", counters)
	}
	if out := counters.BytesOut >= 40<<20; out != f.replies {
		t.Errorf("%+v, want 40 MiB out if replies pass here: %t", counters, f.replies)
	}
	told := uint64(0)
	for _, v := range stats.Verdicts {
		switch v.Name {
		case "TOO_BIG":
			told = v.Packets
		case "TOO_BIG_NO_DF", "FRAGMENT", "BROKEN":
			if v.Packets != 0 {
				t.Errorf("%d packets met %s", v.Packets, v.Name)
			}
		}
	}
	// At tcx what TCP sends comes in many segments in one, which are made shorter for the tunnel without a word.
	if quiet := hook == lb.HookTCX && k.proto == lb.TCP; (told > 0) != (f.room < 1500) && !quiet {
		t.Errorf("the client was told %d times what fits, where %d bytes do", told, f.room)
	}
	for i := range w.servers {
		if f.room < 1500 {
			w.allUnwrapped(i + 1)
		}
	}
}

// dropped is how many packets the interfaces of these namespaces, and nobody else's, say that the kernel
// has dropped before they were looked at: those for which a CPU's backlog had no room. What a
// datagram that stays away is allowed for.
func (w *wires) dropped() (n int) {
	w.Helper()
	for _, ns := range slices.Concat([]*netns.Handle{w.hub, w.client, w.balancer}, w.servers) {
		w.inside(ns, func() {
			links, err := netlink.LinkList()
			ok(w, err)
			for _, l := range links {
				n += int(l.Attrs().Statistics.RxDropped)
			}
		})
	}
	return n
}

// explain logs what the plane and each kernel say of packets, for who looks for one that is lost.
func (w *wires) explain(stats lb.Stats) {
	w.Helper()
	for _, v := range stats.Verdicts {
		if v.Packets > 0 {
			w.Logf("%d packets met %s", v.Packets, v.Name)
		}
	}
	for _, ns := range slices.Concat([]*netns.Handle{w.client, w.balancer}, w.servers) {
		w.inside(ns, func() {
			said, _ := exec.Command("sh", "-c", "ip -s link show eth0; ip -6 neighbour; ip -4 neighbour; cat /proc/net/snmp6; nstat -asz | grep -v ' 0  *0.0$'").CombinedOutput()
			w.Logf("%v:\n%s", ns, said)
		})
	}
	drops, _ := os.ReadFile("/proc/net/softnet_stat")
	w.Logf("softnet_stat (the second column is what backlogs dropped, of the whole machine):\n%s", drops)
}

// allUnwrapped fails if a tunnel's packet was lost on server i.
func (w *wires) allUnwrapped(i int) {
	w.Helper()
	verdicts, err := DecapVerdicts(w.decapPin(i))
	ok(w, err)
	for _, v := range verdicts {
		if (v.Packets > 0) != (v.Name == "UNWRAPPED") {
			w.Errorf("server %d: %d packets met %s", i, v.Packets, v.Name)
		}
	}
}

// flowsOf are those of the level at which flows of a living kind are counted.
func flowsOf(k kind, c lb.Counters) uint64 {
	if k.proto == lb.UDP {
		return c.Inactive
	}
	return c.Active
}
