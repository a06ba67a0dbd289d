package takeover

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"lbctl/internal/netns"
)

func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		fmt.Println("addresses move between network namespaces: run these tests as root")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// wire is three hosts on one switch: two that take over from each other, and a neighbour.
type wire struct {
	hub   *netns.Handle
	hosts [3]*netns.Handle
	links [3]netlink.Link
}

// newWire's namespaces have no name: they end with this process.
func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{hub: namespace(t)}
	hub := handle(t, w.hub)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br"}}
	check(t, hub.LinkAdd(bridge))
	check(t, hub.LinkSetUp(bridge))
	for i := range w.hosts {
		w.hosts[i] = namespace(t)
		port := fmt.Sprintf("p%d", i)
		check(t, hub.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: port, MasterIndex: bridge.Index}, PeerName: "eth0", PeerNamespace: netlink.NsFd(w.hosts[i].Fd()),
		}))
		l, err := hub.LinkByName(port)
		check(t, err)
		host := handle(t, w.hosts[i])
		w.links[i], err = host.LinkByName("eth0")
		check(t, err)
		for _, text := range []string{fmt.Sprintf("198.18.2.%d/20", i+1), fmt.Sprintf("2001:2::20%d/64", i+1)} {
			addr, err := netlink.ParseAddr(text)
			check(t, err)
			addr.Flags = 2 // IFA_F_NODAD
			check(t, host.AddrAdd(w.links[i], addr))
		}
		check(t, host.LinkSetUp(w.links[i]))
		check(t, hub.LinkSetUp(l))
	}
	return w
}

func namespace(t *testing.T) *netns.Handle {
	t.Helper()
	ns, err := netns.New()
	check(t, err)
	t.Cleanup(func() { _ = ns.Close() })
	return ns
}

func handle(t *testing.T, ns *netns.Handle) *netlink.Handle {
	t.Helper()
	nl, err := ns.Netlink()
	check(t, err)
	t.Cleanup(nl.Close)
	return nl
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *wire) host(t *testing.T, i int) *Host {
	t.Helper()
	h, err := Open(w.hosts[i])
	check(t, err)
	t.Cleanup(h.Close)
	return h
}

// knows returns what the neighbour believes to be an address's MAC address.
func (w *wire) knows(t *testing.T, addr netip.Addr) string {
	t.Helper()
	list, err := handle(t, w.hosts[2]).NeighList(0, 0)
	check(t, err)
	for _, n := range list {
		if got, _ := netip.AddrFromSlice(n.IP); got.Unmap() == addr {
			return n.HardwareAddr.String()
		}
	}
	return ""
}

// ask sends a datagram to the address, so that the neighbour looks for it.
func (w *wire) ask(t *testing.T, addr netip.Addr) {
	t.Helper()
	check(t, w.hosts[2].Do(func() error {
		conn, err := net.Dial("udp", netip.AddrPortFrom(addr, 9).String())
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("x"))
		return err
	}))
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10s: %s", what)
		}
	}
}

var floating = []Addr{{"eth0", netip.MustParseAddr("198.18.3.1")}, {"eth0", netip.MustParseAddr("2001:2::301")}}

func TestNeighboursFollowAnAnnouncedAddressAtOnce(t *testing.T) {
	w := newWire(t)
	a, b := w.host(t, 0), w.host(t, 1)
	added, err := a.Take(floating)
	check(t, err)
	if len(added) != 2 {
		t.Fatalf("took %v", added)
	}
	for _, f := range floating {
		eventually(t, "the neighbour finds "+f.String(), func() bool {
			w.ask(t, f.Addr)
			return w.knows(t, f.Addr) == w.links[0].Attrs().HardwareAddr.String()
		})
	}
	check(t, a.Drop(floating))
	added, err = b.Take(floating)
	check(t, err)
	check(t, b.Announce(added))
	for _, f := range floating {
		eventually(t, "the neighbour has heard who has "+f.String(), func() bool {
			return w.knows(t, f.Addr) == w.links[1].Attrs().HardwareAddr.String()
		})
	}
}

func TestTakingAndDroppingTwiceIsNoChange(t *testing.T) {
	h := newWire(t).host(t, 0)
	for i, want := range []int{2, 0} {
		added, err := h.Take(floating)
		check(t, err)
		if len(added) != want {
			t.Errorf("time %d took %v, want %d", i+1, added, want)
		}
	}
	if held, err := h.Holds(append(floating, Addr{"eth0", netip.MustParseAddr("198.18.3.9")})); err != nil || len(held) != 2 {
		t.Errorf("holds %v, %v", held, err)
	}
	check(t, h.Drop(floating))
	check(t, h.Drop(floating))
	if held, err := h.Holds(floating); err != nil || len(held) != 0 {
		t.Errorf("holds %v after it dropped them, %v", held, err)
	}
}

// An address with the subnet's length is the host's own and never floats.
func TestAHostsOwnAddressIsNotHeld(t *testing.T) {
	h := newWire(t).host(t, 0)
	if held, err := h.Holds([]Addr{{"eth0", netip.MustParseAddr("198.18.2.1")}}); err != nil || len(held) != 0 {
		t.Errorf("holds %v, %v", held, err)
	}
}

func TestAHostWhosePortIsCutIsNotConnected(t *testing.T) {
	w := newWire(t)
	for cut, want := range []bool{true, false} {
		if cut == 1 {
			check(t, Cut(w.hub, []string{"p0"}))
		}
		if got, err := Connected(w.hub, []string{"p0"}); err != nil || got != want {
			t.Errorf("connected %v, %v, want %v", got, err, want)
		}
	}
	if _, err := Connected(w.hub, []string{"nope"}); err == nil {
		t.Error("a port that is not there is no error")
	}
	check(t, handle(t, w.hosts[1]).LinkSetDown(w.links[1]))
	if got, err := Connected(w.hub, []string{"p1"}); err != nil || got {
		t.Errorf("connected %v, %v though its own end is down", got, err)
	}
}
