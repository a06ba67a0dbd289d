package l4

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// inside marks the test process that has a mount namespace of its own.
const inside = "LBCTL_L4_TEST_INSIDE"

// bpffs is mounted in that namespace only, so all pins die with the process,
// whatever kills it.
const bpffs = "/sys/fs/bpf"

func TestMain(m *testing.M) {
	if code, ours := childMain(); ours {
		os.Exit(code)
	}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "l4: skipping all tests: they need root, to load BPF programs")
		os.Exit(0)
	}
	if os.Getenv(inside) == "" {
		fmt.Fprintln(os.Stderr, "l4:", moveInside())
		os.Exit(1)
	}
	loadSpec = readOnce(loadXdp)
	os.Exit(m.Run())
}

// readOnce hands out copies of an object file's specification: with the race detector,
// to read it takes a third of a second.
func readOnce(load func() (*ebpf.CollectionSpec, error)) func() (*ebpf.CollectionSpec, error) {
	read := sync.OnceValues(load)
	var mu sync.Mutex // no copy is made while another is
	return func() (*ebpf.CollectionSpec, error) {
		mu.Lock()
		defer mu.Unlock()
		spec, err := read()
		return spec.Copy(), err
	}
}

// moveInside runs the same process again in a mount namespace of its own. It
// returns only if that fails.
func moveInside() error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("bpf", bpffs, "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount bpffs: %w", err)
	}
	return syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), inside+"=1"))
}

// The addresses of a rig.
var (
	vip       = netip.MustParseAddrPort("198.18.3.1:80")
	balancer  = netip.MustParseAddr("198.18.2.1")
	client    = netip.MustParseAddr("198.18.1.1")
	portMAC   = net.HardwareAddr{2, 0, 0, 0, 2, 1}
	otherMAC  = net.HardwareAddr{2, 0, 0, 1, 2, 1} // of eth1
	clientMAC = net.HardwareAddr{2, 0, 0, 0, 1, 1}
	farAddr   = netip.MustParseAddr("198.18.20.1") // of backend 101
)

// kind is an address family with a protocol.
type kind struct {
	six   bool
	proto lb.Protocol
}

// kinds are all that must be treated alike.
var kinds = []kind{{false, lb.TCP}, {true, lb.TCP}, {false, lb.UDP}, {true, lb.UDP}}

func (k kind) String() string {
	if k.six {
		return string(k.proto) + " over IPv6"
	}
	return string(k.proto) + " over IPv4"
}

// of is the address in the kind's family.
func (k kind) of(a netip.Addr) netip.Addr {
	if !k.six {
		return a
	}
	four := a.As4()
	return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 3: 2, 14: four[2], 15: four[3]})
}

func (k kind) client() netip.Addr { return k.of(client) }
func (k kind) vip() netip.AddrPort {
	return netip.AddrPortFrom(k.of(vip.Addr()), vip.Port())
}

// snapshot has one service of these backends, in the kind's family and in the
// order that rr takes them.
func (k kind) snapshot(policy lb.Policy, backends ...lb.Backend) lb.Snapshot {
	s := snapshot(policy)
	v := &s.Services[0]
	v.VIP = lb.VIP{Addr: k.vip(), Proto: k.proto}
	for _, b := range backends {
		b.Addr = netip.AddrPortFrom(k.of(b.Addr.Addr()), b.Addr.Port())
		v.Backends = slices.Insert(v.Backends, 0, b)
	}
	return s
}

func backendAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 4, byte(i)}) }
func backendMAC(i int) net.HardwareAddr {
	return net.HardwareAddr{2, 0, 0, 0, 4, byte(i)}
}

// rig is a Plane on a namespace whose wires lead nowhere: packets come from
// BPF_PROG_TEST_RUN. Backends 1 to 20 are neighbours on eth0, 101 on eth1.
type rig struct {
	testing.TB
	*Plane
	ns      *netns.Handle
	options Options
	room    int // MaxFlows of its folder
	ifindex int // that packets come in by: eth0
	eth1    int
	cuts    bool // the frame's end moves: then the kernel drops its sum, and BPF_PROG_TEST_RUN takes that for a wrong one
}

func newRig(t testing.TB) *rig {
	t.Helper()
	ns, err := netns.New()
	ok(t, err)
	t.Cleanup(func() { ok(t, ns.Close()) })
	r := &rig{TB: t, ns: ns, options: Options{
		NetNS: ns, Interfaces: []string{"eth0", "eth1"}, Hook: hook, MaxFlows: 1 << 15, SweepInterval: -1, LocalAddresses: pools,
	}}
	ok(t, ns.Do(func() error {
		r.ifindex = r.wire("eth0", portMAC, "198.18.2.1/20", "2001:2::201/116")
		r.eth1 = r.wire("eth1", otherMAC, "198.18.16.1/20", "2001:2::1001/116")
		for i := 1; i <= 20; i++ {
			r.neighboursOf(i)
		}
		for _, k := range []kind{{six: false}, {six: true}} {
			r.neighbour(r.eth1, k.of(farAddr), backendMAC(101))
		}
		return nil
	}))
	t.Cleanup(r.leave)
	r.enter()
	return r
}

// wire makes one end of a veth; it runs inside the namespace.
func (r *rig) wire(name string, mac net.HardwareAddr, addrs ...string) int {
	veth := netlink.NewVeth(netlink.NewLinkAttrs())
	veth.Name, veth.PeerName, veth.HardwareAddr = name, name+"peer", mac
	ok(r, netlink.LinkAdd(veth))
	l, err := netlink.LinkByName(name)
	ok(r, err)
	ok(r, netlink.LinkSetUp(l))
	for _, addr := range addrs {
		a, err := netlink.ParseAddr(addr)
		ok(r, err)
		a.Flags = unix.IFA_F_NODAD
		ok(r, netlink.AddrAdd(l, a))
	}
	return l.Attrs().Index
}

func (r *rig) neighbour(ifindex int, addr netip.Addr, mac net.HardwareAddr) {
	ok(r, netlink.NeighSet(&netlink.Neigh{
		LinkIndex: ifindex, IP: addr.AsSlice(), HardwareAddr: mac, State: netlink.NUD_PERMANENT,
	}))
}

// neighboursOf makes backend i a neighbour on eth0; it runs inside the namespace.
func (r *rig) neighboursOf(i int) {
	for _, k := range []kind{{six: false}, {six: true}} {
		r.neighbour(r.ifindex, k.of(backendAddr(i)), backendMAC(i))
	}
}

// neighbours makes more backends reachable.
func (r *rig) neighbours(numbers ...int) {
	r.Helper()
	ok(r, r.ns.Do(func() error {
		for _, i := range numbers {
			r.neighboursOf(i)
		}
		return nil
	}))
}

// reopen is what a restarted daemon does.
func (r *rig) reopen() {
	r.Helper()
	if r.Plane != nil {
		ok(r, r.Plane.Close())
	}
	p, err := Open(r.options)
	ok(r, err)
	r.Plane = p
	r.Cleanup(func() { ok(r, p.Close()) })
}

// enter opens a plane on a folder as new.
func (r *rig) enter() {
	r.Helper()
	r.room = r.options.MaxFlows
	r.options.PinDir = takeFolder(r, r.room)
	r.reopen()
}

// leave ends the plane, and leaves the folder to another rig.
func (r *rig) leave() {
	r.Helper()
	if r.Plane != nil {
		ok(r, r.Plane.Close())
	}
	if r.options.PinDir != "" {
		returnFolder(r, r.options.PinDir, r.room)
	}
	r.options.PinDir = ""
}

// empty starts anew, with what the options say.
func (r *rig) empty() {
	r.Helper()
	r.leave()
	r.enter()
}

// forget lets all flows end.
func (r *rig) forget() {
	r.Helper()
	r.full(false)
	if r.entries() == 0 {
		return
	}
	r.age(time.Hour)
	r.sweep()
	if n := r.entries(); n != 0 {
		r.Fatalf("%d flows outlive an hour without a packet", n)
	}
}

// again is the rig for another case, as new but for what verdicts have counted and
// for its clock: a program takes the verifier a good part of a second.
func (r *rig) again(t testing.TB) *rig {
	t.Helper()
	r.TB = t
	r.allow()
	r.forget()
	r.apply(lb.Snapshot{Revision: revision.Add(1)})
	return r
}

func (r *rig) apply(s lb.Snapshot) {
	r.Helper()
	ok(r, r.Apply(r.Context(), s))
	stats, err := r.Stats()
	ok(r, err)
	if stats.Revision != s.Revision {
		r.Fatalf("revision %d is applied, want %d", stats.Revision, s.Revision)
	}
}

var revision atomic.Uint64

// snapshot has one service of these backends, in the order that rr takes them:
// as in the kernel, the one added last comes first. As in scenarios, mh hashes
// the client's port, too.
func snapshot(policy lb.Policy, backends ...lb.Backend) lb.Snapshot {
	backends = slices.Clone(backends)
	slices.Reverse(backends)
	return lb.Snapshot{Revision: revision.Add(1), Services: []lb.Service{{
		Name: "web", Plane: lb.L4, VIP: lb.VIP{Addr: vip, Proto: lb.TCP},
		Forward: lb.DirectRouting, Policy: policy, L4: lb.L4Options{Ports: policy == lb.Maglev}, Backends: backends,
	}}}
}

// backend is number i, up and of weight 1.
func backend(i int) lb.Backend {
	return lb.Backend{
		ID: lb.BackendID(i), Name: fmt.Sprintf("s%d", i), Weight: 1, Health: lb.Up,
		Addr: netip.AddrPortFrom(backendAddr(i), vip.Port()),
	}
}

func backends(n int) []lb.Backend {
	var out []lb.Backend
	for i := 1; i <= n; i++ {
		out = append(out, backend(i))
	}
	return out
}

func with(b lb.Backend, change func(*lb.Backend)) lb.Backend {
	change(&b)
	return b
}

func down(b *lb.Backend)     { b.Health = lb.Down }
func draining(b *lb.Backend) { b.Admin = lb.Draining }
func disabled(b *lb.Backend) { b.Admin = lb.Disabled }

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
