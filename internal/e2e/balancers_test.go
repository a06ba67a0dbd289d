package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lbctl/ctl"
	"lbctl/internal/lab"
	"lbctl/internal/lb"
	"lbctl/internal/takeover"
)

const twoBalancers = `
name: pair
ipv6: true
balancers: 2
servers: 2
checks:
  default: {path: /healthz, interval: 500ms}
services:
  dr: {plane: l4, policy: rr}
  nat: {plane: l4, policy: rr, forward: nat}
  six: {plane: l4, policy: rr, ipv6: true}
  nat6: {plane: l4, policy: rr, ipv6: true, forward: nat}
  web: {plane: l7}
`

// active is the node that has the floating addresses, by the daemon's word and
// by the kernel's.
func (l *openLab) active(t *testing.T) string {
	t.Helper()
	st := l.status(t)
	if len(st.Balancers) != 2 || st.Balancers[0].Role != ctl.Active || st.Balancers[1].Role != ctl.Standby {
		t.Fatalf("balancers %+v", st.Balancers)
	}
	want := []netip.Addr{}
	for _, f := range l.Topology().Floating {
		want = append(want, f.Addr)
	}
	for _, b := range st.Balancers {
		held := l.held(t, b.Node)
		if b.Role == ctl.Active && len(held) != len(want) || b.Role == ctl.Standby && len(held) != 0 {
			t.Errorf("%s %s holds %v of %v", b.Role, b.Node, held, want)
		}
	}
	return st.Balancers[0].Node
}

// held are the floating addresses that a node has.
func (l *openLab) held(t *testing.T, name string) (held []netip.Addr) {
	t.Helper()
	node, err := l.Node(name)
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	nl, err := node.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	addrs, err := nl.AddrList(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range l.Topology().Floating {
		if slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.IP.String() == f.Addr.String() }) {
			held = append(held, f.Addr)
		}
	}
	return held
}

// allUp waits for checks that have failed while nobody had the addresses, as they may on a busy machine.
func (l *openLab) allUp(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, "all backends are up", func() bool {
		for _, svc := range l.status(t).Services {
			for _, b := range svc.Backends {
				if b.Health != lb.Up {
					t.Logf("backend %s of %s is %s", b.Name, svc.Name, b.Health)
					return false
				}
			}
		}
		return true
	})
}

func (l *openLab) askAll(t *testing.T, when string) {
	t.Helper()
	for _, service := range []string{"dr", "nat", "six", "nat6", "web"} {
		l.dial(t, service).ask(t, service+" "+when)
	}
}

func TestVIPsMoveAndASecondUpMovesNothingBack(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("pair.yaml", twoBalancers)
	w.lbctl("up", file)
	l := w.open("pair")
	if got := l.active(t); got != "lb1" {
		t.Errorf("%s is active at first", got)
	}
	l.askAll(t, "at first")
	if out := w.lbctl("failover"); !strings.Contains(out, "lb2 took over from lb1") {
		t.Errorf("failover says %q", out)
	}
	l.askAll(t, "after the failover")
	if out := w.lbctl("up", file); !strings.Contains(out, "0 changes") {
		t.Errorf("up after the failover did something:\n%s", out)
	}
	if got := l.active(t); got != "lb2" {
		t.Errorf("%s is active after a failover and an up", got)
	}
	if out := w.lbctl("failover", "lb2"); !strings.Contains(out, "active already") {
		t.Errorf("failover to the active one says %q", out)
	}
	if _, errOut, code := w.try("failover", "lb9"); code != 4 || !strings.Contains(errOut, "lb9") {
		t.Errorf("failover to lb9: exit %d, %s", code, errOut)
	}
	w.lbctl("failover", "lb1")
	l.askAll(t, "after the way back")
	if svc := l.service(t, "dr"); svc.Counters.Connections < 3 {
		t.Errorf("%d connections are counted of three, on both balancers", svc.Counters.Connections)
	}
}

func TestACrashedBalancerIsReplacedAndComesBackAsStandby(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("pair.yaml", twoBalancers)
	w.lbctl("up", file)
	l := w.open("pair")
	l.askAll(t, "at first")
	w.lbctl("failover", "--crash")
	l.askAll(t, "after the crash")
	if got := l.active(t); got != "lb2" {
		t.Errorf("%s is active after lb1 crashed", got)
	}
	if _, errOut, code := w.try("failover"); code == 0 || !strings.Contains(errOut, "cut off") {
		t.Errorf("failover to a crashed balancer: exit %d, %s", code, errOut)
	}
	time.Sleep(2 * time.Second) // three probes in a row, were they sent from lb1
	l.askAll(t, "after probes")
	if out := w.lbctl("up", file); !strings.Contains(out, "1 change ") { // the link
		t.Errorf("up after a crash:\n%s", out)
	}
	eventually(t, 10*time.Second, "lb1 is connected", func() bool { return l.status(t).Balancers[1].Connected })
	if got := l.active(t); got != "lb2" {
		t.Errorf("%s is active once lb1 is back", got)
	}
	w.lbctl("failover")
	l.askAll(t, "after the way back")
}

// The standby hears the active balancer's adverts (VRRP) and takes over when
// three are missing, also without being asked.
func TestAStandbyTakesOverByItself(t *testing.T) {
	w := newWorkshop(t)
	auto := strings.Replace(twoBalancers, "balancers: 2", "balancers: 2\nfailover: {takeover: auto, advert: 200ms}", 1)
	file := w.scenario("pair.yaml", auto)
	w.lbctl("up", file)
	l := w.open("pair")
	time.Sleep(2 * time.Second) // ten adverts
	if got := l.active(t); got != "lb1" {
		t.Fatalf("%s is active though lb1 lives", got)
	}
	if out := w.lbctl("failover", "--crash"); !strings.Contains(out, "lb2 took over from lb1") {
		t.Errorf("failover says %q", out)
	}
	l.allUp(t)
	l.askAll(t, "after the crash")
	w.lbctl("up", file)
	eventually(t, 10*time.Second, "lb1 is connected", func() bool { return l.status(t).Balancers[1].Connected })
	hub, err := l.Hub()
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	if err := takeover.Cut(hub, []string{lab.PortName("lb2", "eth0")}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "lb1 has taken over unasked", func() bool { return l.status(t).Balancers[0].Node == "lb1" })
	l.allUp(t)
	l.askAll(t, "after the second crash")
	if got := l.active(t); got != "lb1" {
		t.Errorf("%s is active", got)
	}
}

func TestAKilledDaemonFindsTheActiveBalancerAgain(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("pair.yaml", twoBalancers)
	w.lbctl("up", file)
	l := w.open("pair")
	w.lbctl("failover")
	c := l.dial(t, "dr")
	if err := syscall.Kill(l.status(t).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.ask(t, "while there is no daemon")
	w.lbctl("up", file)
	if got := w.open("pair").active(t); got != "lb2" {
		t.Errorf("%s is active after the daemon was killed", got)
	}
	c.ask(t, "with the next daemon")
}

func TestAStandbyComesAndGoes(t *testing.T) {
	w := newWorkshop(t)
	one := strings.Replace(twoBalancers, "balancers: 2", "balancers: 1", 1)
	file := w.scenario("pair.yaml", one)
	w.lbctl("up", file)
	l := w.open("pair")
	conn := l.dial(t, "dr")
	for i, text := range []string{twoBalancers, one, twoBalancers, one} {
		w.scenario("pair.yaml", text)
		w.lbctl("up", file)
		l = w.open("pair")
		if text == twoBalancers {
			l.active(t)
			w.lbctl("failover", []string{"lb1", "lb1", "lb2"}[i])
		} else if n := len(l.status(t).Balancers); n != 0 {
			t.Errorf("%d balancers are shown of one", n)
		}
		eventually(t, 20*time.Second, fmt.Sprintf("all answer after edit %d", i+1), func() bool {
			return l.reach(t, "dr") && l.reach(t, "nat6") && l.reach(t, "web")
		})
		if out := w.lbctl("up", file); !strings.Contains(out, "0 changes") {
			t.Errorf("the second up after edit %d did something:\n%s", i+1, out)
		}
	}
	conn.conn.Close()
}

// reach reports whether a connection can be made.
func (l *openLab) reach(t *testing.T, service string) bool {
	t.Helper()
	node, err := l.Node("c1")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	conn, err := node.DialContext(t.Context(), "tcp", l.service(t, service).VIP.Addr.String())
	if err == nil {
		conn.Close()
	}
	return err == nil
}
