package l4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// unwrapper is a server's program, on packets from BPF_PROG_TEST_RUN.
type unwrapper struct {
	testing.TB
	decapObjects
}

// newUnwrapper is backend 1's: ends of every tunnel, for the VIPs.
func newUnwrapper(t testing.TB) *unwrapper {
	t.Helper()
	u := &unwrapper{TB: t}
	spec, err := loadDecap()
	ok(t, err)
	ok(t, spec.LoadAndAssign(&u.decapObjects, nil))
	t.Cleanup(func() { ok(t, u.Close()) })
	d := lb.Decap{VIPs: []netip.Addr{vip.Addr(), kind{six: true}.vip().Addr()}}
	for _, by := range tunnels {
		k := kind{six: by.six}
		d.Ends = append(d.Ends, lb.TunnelEnd{Addr: k.of(backendAddr(1)), By: by.encapsulation()})
	}
	for _, six := range []bool{false, true} {
		source := kind{six: six}.of(balancer)
		d.Sources = append(d.Sources, netip.PrefixFrom(source, source.BitLen()))
	}
	d.Sources = append(d.Sources, netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64"))
	ok(t, u.fill(d, false))
	return u
}

func (u *unwrapper) counts() (out []uint64) {
	u.Helper()
	for i := range u.DecapVerdicts.MaxEntries() {
		var perCPU []uint64
		ok(u, u.DecapVerdicts.Lookup(i, &perCPU))
		n := uint64(0)
		for _, c := range perCPU {
			n += c
		}
		out = append(out, n)
	}
	return out
}

// send runs the program on a frame. The verdict of what it leaves alone is empty.
func (u *unwrapper) send(frame []byte) result {
	u.Helper()
	spec, err := loadDecap()
	ok(u, err)
	names := make([]decapWords, len(u.counts()))
	ok(u, spec.Variables[decapVarDecapWords].Get(names))
	before := u.counts()
	options := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+64)}
	action, err := u.Decap.Run(options)
	if err != nil {
		u.Fatalf("run on %x: %v", frame, err)
	}
	res := result{action: action, out: options.DataOut}
	for i, n := range u.counts() {
		if n != before[i] {
			res.verdict += toText(names[i].Name[:])
		}
	}
	return res
}

// What the balancer wraps comes out as it was, its TTL one less: every packet in
// every tunnel, by way of both programs.
func TestServersUnwrapWhatTheBalancerWraps(t *testing.T) {
	u := newUnwrapper(t)
	for _, by := range tunnels {
		for _, k := range kinds {
			r := newRig(t)
			r.apply(k.tun(by, backend(1)))
			for i := range 50 {
				in := k.from(1000+i, "ACK").varied(i)
				got := u.send(r.send(in.bytes()).out)
				want := in.ttl(63).via(portMAC, backendMAC(1)).bytes()
				if got.action != tcxNext || got.verdict != "UNWRAPPED" || !bytes.Equal(got.out, want) {
					t.Fatalf("%s, %s, packet %d: action %d (%s)\n got %x\nwant %x", by, k, i, got.action, got.verdict, got.out, want)
				}
			}
			r.leave()
		}
	}
}

// Congestion that routers mark on the outer header reaches the client's peer (RFC 6040).
func TestUnwrappingKeepsCongestionMarks(t *testing.T) {
	const capable0, capable1, congested = 2, 1, 3
	u := newUnwrapper(t)
	rows := []struct {
		outer, inner, want uint8
		verdict            string
	}{
		{0, 0, 0, "UNWRAPPED"},
		{capable0, capable0, capable0, "UNWRAPPED"},
		{capable1, capable0, capable0, "UNWRAPPED"},
		{congested, capable0, congested, "UNWRAPPED"},
		{congested, capable1, congested, "UNWRAPPED"},
		{congested, congested, congested, "UNWRAPPED"},
		{0, congested, congested, "UNWRAPPED"},
		{congested, 0, 0, "CONGESTION_LOST"},
	}
	for _, by := range tunnels {
		for _, k := range kinds {
			for _, row := range rows {
				in := k.from(1000, "ACK").set(func(s *segment) { s.ip.TOS, s.ip6.TrafficClass = 0xb8|row.inner, 0xb8|row.inner })
				o := by.around(in, 1)
				o.class = 0xb8 | row.outer
				got := u.send(o.wrap(in.bytes(), portMAC, backendMAC(1)))
				want := in.set(func(s *segment) { s.ip.TOS, s.ip6.TrafficClass = 0xb8|row.want, 0xb8|row.want }).via(portMAC, backendMAC(1)).bytes()
				if got.verdict != row.verdict || got.verdict == "UNWRAPPED" && !bytes.Equal(got.out, want) {
					t.Errorf("%s, %s, outer %d, inner %d: %s\n got %x\nwant %x", by, k, row.outer, row.inner, got.verdict, got.out, want)
				}
			}
		}
	}
}

// What a server does not unwrap: what is no tunnel of its own goes on as it
// came, what only pretends to be the balancer's is dropped.
func TestPacketsThatAreNotUnwrapped(t *testing.T) {
	type row struct {
		name    string
		in      []byte
		action  uint32
		verdict string
	}
	u := newUnwrapper(t)
	for _, by := range tunnels {
		k := kind{false, lb.TCP}
		around := by.around(k.from(1000, "ACK"), 1)
		header := 14 + by.overhead()
		wrap := func(change func(*outer), damage ...func([]byte) []byte) []byte {
			o := around
			change(&o)
			p := o.wrap(k.from(1000, "ACK").bytes(), portMAC, backendMAC(1))
			for _, f := range damage {
				p = f(p)
			}
			return p
		}
		same := func(*outer) {}
		family := kind{six: by.six}
		length, short := atLength, "OUTER_BAD_HEADER"
		if by.six {
			length = at6Length
		}
		if by.six && by.gue == 0 {
			short = "INNER_BAD_HEADER"
		}
		rows := []row{
			{"from the pool", wrap(func(o *outer) {
				o.src = map[bool]netip.Addr{false: netip.MustParseAddr("192.0.2.77"), true: netip.MustParseAddr("2001:db8::77")}[by.six]
			}), tcxNext, "UNWRAPPED"},
			{"to another of the server's addresses", wrap(func(o *outer) { o.dst = family.of(backendAddr(2)) }), tcxNext, ""},
			{"cut behind the outer header", wrap(same, cut(header)), tcxDrop, "OUTER_BAD_HEADER"},
			{"from a stranger", wrap(func(o *outer) { o.src = family.of(client) }), tcxDrop, "STRANGER"},
			{"an outer length beyond the frame", wrap(same, set16(length, 1000)), tcxDrop, "OUTER_BAD_HEADER"},
			{"an outer length of 7", wrap(same, set16(length, 7)), tcxDrop, short},
			{"an outer length one below that of what is inside", wrap(same, func(p []byte) []byte {
				return set16(length, binary.BigEndian.Uint16(p[length:])-1)(p)
			}), tcxDrop, "INNER_BAD_HEADER"},
			{"a version inside that is none", wrap(same, set8(header, 0x75)), tcxDrop, "INNER_BAD_HEADER"},
			{"a header inside that is none", wrap(same, set8(header, 0x44)), tcxDrop, "INNER_BAD_HEADER"},
			{"a length inside beyond the frame", wrap(same, set16(header+2, 1000)), tcxDrop, "INNER_BAD_HEADER"},
			{"a length inside below the header", wrap(same, set16(header+2, 19)), tcxDrop, "INNER_BAD_HEADER"},
			{"to the server itself inside", by.around(k.from(1, "ACK"), 1).wrap(k.from(1, "ACK").target(backendAddr(1)).bytes(), portMAC, backendMAC(1)), tcxDrop, "INNER_NOT_VIP"},
			{"IPv6 to the server itself inside", by.around(k.from(1, "ACK"), 1).wrap(kind{true, lb.TCP}.from(1, "ACK").target(kind{six: true}.of(backendAddr(1))).bytes(), portMAC, backendMAC(1)), tcxDrop, "INNER_NOT_VIP"},
			{"plain TCP to the server", family.from(1, "ACK").target(family.of(backendAddr(1))).bytes(), tcxNext, ""},
			{"plain TCP to the VIP", family.from(1, "ACK").bytes(), tcxNext, ""},
			{"UDP to port 0 of the server", kind{by.six, lb.UDP}.from(1).target(family.of(backendAddr(1))).set(func(s *segment) { s.udp.DstPort = 0 }).bytes(), tcxNext, ""},
			{"ARP", wrap(same, set16(12, 0x0806)), tcxNext, ""},
		}
		if by.gue != 0 {
			rows = append(rows,
				row{"to another port", wrap(func(o *outer) { o.gue++ }), tcxNext, ""},
				row{"cut in the UDP header", wrap(same, cut(header-1)), tcxNext, ""})
		}
		if !by.six && by.gue == 0 {
			rows = append(rows, []row{
				{"a first fragment", wrap(same, set16(atFragment, 0x2000)), tcxDrop, "OUTER_FRAGMENT"},
				{"a later fragment", wrap(same, set16(atFragment, 0x0010)), tcxDrop, "OUTER_FRAGMENT"},
				{"outer options", wrap(same, set8(atVersion, 0x46)), tcxDrop, "OUTER_BAD_HEADER"},
			}...)
		}
		for _, row := range rows {
			in := bytes.Clone(row.in)
			got := u.send(row.in)
			if got.action != row.action || got.verdict != row.verdict {
				t.Errorf("%s, %s: action %d, verdict %q, want %d, %q", by, row.name, int32(got.action), got.verdict, int32(row.action), row.verdict)
			}
			if got.verdict == "" && !bytes.Equal(got.out, in) {
				t.Errorf("%s, %s: changed\n in %x\nout %x", by, row.name, in, got.out)
			}
		}
	}
}

// Attaching again changes what differs, and removing leaves nothing.
func TestDecapIsAttachedAgainAndRemoved(t *testing.T) {
	ns, err := netns.New()
	ok(t, err)
	defer ns.Close()
	ok(t, ns.Do(func() error {
		veth := netlink.NewVeth(netlink.NewLinkAttrs())
		veth.Name, veth.PeerName, veth.HardwareAddr = "eth0", "eth1", net.HardwareAddr(backendMAC(1))
		return netlink.LinkAdd(veth)
	}))
	pin := filepath.Join(bpffs, t.Name())
	attach := func(d lb.Decap, interfaces ...string) {
		t.Helper()
		ok(t, AttachDecap(DecapOptions{NetNS: ns, Interfaces: interfaces, PinDir: pin}, d))
	}
	links := func() int {
		found, err := filepath.Glob(filepath.Join(pin, string(lb.HookTCX)+"-*"))
		ok(t, err)
		return len(found)
	}
	first := lb.Decap{VIPs: []netip.Addr{vip.Addr()}, Ends: []lb.TunnelEnd{{Addr: backendAddr(1)}}}
	attach(first, "eth0", "eth1")
	attach(first, "eth0", "eth1")
	if n := links(); n != 2 {
		t.Errorf("%d links, want one for each of two interfaces", n)
	}
	second := lb.Decap{VIPs: []netip.Addr{client}, Sources: []netip.Prefix{netip.PrefixFrom(balancer, 32)}}
	ok(t, AttachDecap(DecapOptions{NetNS: ns, Interfaces: []string{"eth0"}, PinDir: pin, Keep: true}, second))
	both, err := ebpf.LoadPinnedMap(filepath.Join(pin, decapMapDecapVips), nil)
	ok(t, err)
	defer both.Close()
	for _, a := range []netip.Addr{vip.Addr(), client} {
		var value uint32
		if err := both.Lookup(toAddress(a), &value); err != nil {
			t.Errorf("VIP %s, while what was before is kept: %v", a, err)
		}
	}
	attach(second, "eth0")
	if n := links(); n != 1 {
		t.Errorf("%d links, want that of eth0", n)
	}
	vips, err := ebpf.LoadPinnedMap(filepath.Join(pin, decapMapDecapVips), nil)
	ok(t, err)
	defer vips.Close()
	var value uint32
	if err := vips.Lookup(toAddress(vip.Addr()), &value); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("the first VIP: %v, want it gone", err)
	}
	ok(t, vips.Lookup(toAddress(client), &value))
	ok(t, RemoveDecap(pin))
	if _, err := os.Stat(pin); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the pin folder: %v, want it gone", err)
	}
	ok(t, RemoveDecap(pin))
}
