package l4

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// wires are real namespaces on one bridge: a client, the balancer and servers.
type wires struct {
	*testing.T
	*Plane
	hub, client, balancer *netns.Handle
	servers               []*netns.Handle // number i at i-1
}

// wiresFlows is how many flows their plane remembers.
const wiresFlows = 1 << 16

// vips puts the VIPs of both families on an interface.
func vips(t testing.TB, name string) {
	t.Helper()
	address(t, name, vip.Addr(), 32)
	address(t, name, kind{six: true}.vip().Addr(), 128)
}

// newWires needs no names anywhere, so a killed test leaves nothing.
func newWires(t *testing.T, servers int) *wires {
	t.Helper()
	w := &wires{T: t, hub: newNode(t)}
	w.inside(w.hub, func() {
		bridge := netlink.NewLinkAttrs()
		bridge.Name = "lan"
		ok(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: bridge}))
		up(t, "lan")
	})
	w.client = w.node(client, clientMAC)
	w.balancer = w.node(balancer, portMAC)
	w.inside(w.balancer, func() { vips(t, "eth0") }) // IPv6 answers for what is on the link only
	for i := 1; i <= servers; i++ {
		s := w.node(backendAddr(i), backendMAC(i))
		w.inside(s, func() {
			sysctl(t, "net/ipv4/conf/all/arp_ignore", "1")
			sysctl(t, "net/ipv4/conf/all/arp_announce", "2")
			vips(t, "lo")
		})
		w.servers = append(w.servers, s)
	}
	w.awaitLinks()
	w.reopen(Options{
		NetNS: w.balancer, Interfaces: []string{"eth0"}, Hook: hook, MaxFlows: wiresFlows, LocalAddresses: pools,
		Peers:  []Peer{{w.hub, portOf(portMAC)}},
		PinDir: takeFolder(t, wiresFlows),
	})
	t.Cleanup(func() {
		ok(t, w.Close())
		returnFolder(t, w.options.PinDir, wiresFlows)
	})
	return w
}

// awaitLinks waits for the kernel's worker that is told of carriers: before it has run, a port drops
// what it is to send, and the bridge forwards nothing to it.
func (w *wires) awaitLinks() {
	w.Helper()
	for _, ns := range slices.Concat([]*netns.Handle{w.hub, w.client, w.balancer}, w.servers) {
		w.inside(ns, func() {
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
				links, err := netlink.LinkList()
				ok(w, err)
				late := slices.IndexFunc(links, func(l netlink.Link) bool {
					return l.Type() != "device" && l.Attrs().Flags&net.FlagUp != 0 && l.Attrs().OperState != netlink.OperUp
				})
				if late < 0 {
					return
				}
				if time.Now().After(deadline) {
					w.Fatalf("link %s is %s after 10 s", links[late].Attrs().Name, links[late].Attrs().OperState)
				}
			}
		})
	}
}

// reopen is what a restarted daemon does.
func (w *wires) reopen(o Options) {
	w.Helper()
	if w.Plane != nil {
		ok(w, w.Close())
	}
	p, err := Open(o)
	ok(w, err)
	w.Plane = p
}

func newNode(t *testing.T) *netns.Handle {
	t.Helper()
	ns, err := netns.New()
	ok(t, err)
	t.Cleanup(func() { ok(t, ns.Close()) })
	return ns
}

func (w *wires) inside(ns *netns.Handle, f func()) {
	w.Helper()
	ok(w, ns.Do(func() error { f(); return nil }))
}

// node is a namespace with eth0 on the bridge.
func (w *wires) node(addr netip.Addr, mac net.HardwareAddr) *netns.Handle {
	w.Helper()
	ns := newNode(w.T)
	port := portOf(mac)
	w.inside(w.hub, func() {
		veth := netlink.NewVeth(netlink.NewLinkAttrs())
		veth.Name, veth.PeerName, veth.PeerHardwareAddr = port, "eth0", mac
		veth.PeerNamespace = netlink.NsFd(ns.Fd())
		ok(w, netlink.LinkAdd(veth))
		bridge, err := netlink.LinkByName("lan")
		ok(w, err)
		ok(w, netlink.LinkSetMaster(veth, bridge))
		checksums(w, port)
		up(w, port)
	})
	w.inside(ns, func() {
		sysctl(w, "net/ipv6/conf/eth0/accept_dad", "0") // or the first second goes by without IPv6
		checksums(w, "eth0")
		up(w, "lo")
		address(w, "eth0", addr, 20)
		up(w, "eth0")
		address(w, "eth0", kind{six: true}.of(addr), 64)
	})
	return ns
}

// replyOverBalancer gives servers a way over the balancer to the client for what
// bears their own address: the replies under NAT, not those of direct routing.
func (w *wires) replyOverBalancer(k kind) {
	w.Helper()
	const table = 100
	host := func(a netip.Addr) *net.IPNet {
		return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
	}
	for i, ns := range w.servers {
		w.inside(ns, func() {
			eth0, err := netlink.LinkByName("eth0")
			ok(w, err)
			ok(w, netlink.RouteAdd(&netlink.Route{
				LinkIndex: eth0.Attrs().Index, Dst: host(k.client()), Gw: k.of(balancer).AsSlice(), Table: table,
			}))
			rule := netlink.NewRule()
			rule.Src, rule.Table, rule.Priority = host(k.of(backendAddr(i+1))), table, 100
			rule.Family = unix.AF_INET
			if k.six {
				rule.Family = unix.AF_INET6
			}
			ok(w, netlink.RuleAdd(rule))
		})
	}
}

// portOf is the hub's end of a node's link.
func portOf(mac net.HardwareAddr) string { return fmt.Sprintf("p%d-%d", mac[4], mac[5]) }

func up(t testing.TB, name string) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	ok(t, err)
	ok(t, netlink.LinkSetUp(l))
}

func address(t testing.TB, name string, a netip.Addr, bits int) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	ok(t, err)
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}, Flags: unix.IFA_F_NODAD}
	if bits == 128 { // a VIP, which is to be no source of the node's own packets
		addr.ValidLft, addr.PreferedLft = math.MaxUint32, 0
	}
	ok(t, netlink.AddrAdd(l, addr))
}

func sysctl(t testing.TB, key, value string) {
	t.Helper()
	ok(t, os.WriteFile("/proc/sys/"+key, []byte(value), 0))
}

// checksums makes senders fill checksums in where the hook forgets that they are
// still to be. At tcx they stay offloaded, and so does segmentation.
func checksums(t testing.TB, name string) {
	t.Helper()
	if hook != lb.HookTCX {
		ok(t, ethtool(name, unix.ETHTOOL_STXCSUM, 0))
	}
}

// ethtool sets one of an interface's switches.
func ethtool(name string, command, value uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	args := struct{ command, value uint32 }{command, value}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		rest [16]byte
	}{data: unsafe.Pointer(&args)}
	copy(request.name[:], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("ethtool %s, command %#x: %w", name, command, errno)
	}
	return nil
}
