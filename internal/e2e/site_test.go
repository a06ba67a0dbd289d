package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/internal/netns"
)

// site is a network that no lab has made: a client, a machine for a balancer and
// servers on one bridge, in namespaces without names, which die with the test.
type site struct {
	*testing.T
	hub, client, balancer *netns.Handle
}

// The addresses of a site; server i is at 10.9.0.10+i.
var (
	siteVIP    = netip.MustParseAddr("10.9.0.100")
	siteClient = netip.MustParseAddr("10.9.0.1")
	siteLB     = netip.MustParseAddr("10.9.0.2")
)

func siteServer(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, 0, byte(10 + i)}) }

// newSite starts a web server s1, s2 … on port 80 of each server, which has the
// VIP on lo for direct routing, and the balancer as its way back for what bears
// its own address, as nat needs it.
func newSite(t *testing.T, servers int) *site {
	t.Helper()
	s := &site{T: t, hub: newSpace(t)}
	s.in(s.hub, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "lan"
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			return err
		}
		return setUp("lan")
	})
	s.client = s.host("client", siteClient)
	s.balancer = s.host("balancer", siteLB)
	s.wake("balancer")
	s.in(s.balancer, func() error { return addAddress("eth0", siteVIP, 32) })
	for i := 1; i <= servers; i++ {
		ns := s.host(fmt.Sprint("s", i), siteServer(i))
		s.in(ns, func() error { return dressServer(i) })
		cmd := exec.Command(binary, "server", "--name", fmt.Sprint("alone", i), "--listen", "0.0.0.0:80")
		cmd.Stderr = os.Stderr
		s.must(ns.Start(cmd))
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		eventually(t, 10*time.Second, "the server listens", func() bool {
			c, err := ns.DialContext(t.Context(), "tcp", "127.0.0.1:80")
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return s
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) in(ns *netns.Handle, f func() error) {
	s.Helper()
	s.must(ns.Do(f))
}

func newSpace(t *testing.T) *netns.Handle {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// host is a namespace with eth0 on the bridge. Checksums are whole on the wire,
// because XDP forgets which are still to be filled in.
func (s *site) host(name string, addr netip.Addr) *netns.Handle {
	s.Helper()
	ns := newSpace(s.T)
	s.in(s.hub, func() error {
		veth := netlink.NewVeth(netlink.NewLinkAttrs())
		veth.Name, veth.PeerName, veth.PeerNamespace = name, "eth0", netlink.NsFd(ns.Fd())
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		bridge, err := netlink.LinkByName("lan")
		if err == nil {
			err = netlink.LinkSetMaster(veth, bridge)
		}
		if err == nil {
			err = checksumOff(name)
		}
		if err != nil {
			return err
		}
		return setUp(name)
	})
	s.in(ns, func() error {
		for _, step := range []func() error{
			func() error { return checksumOff("eth0") },
			func() error { return setUp("lo") },
			func() error { return addAddress("eth0", addr, 24) },
			func() error { return setUp("eth0") },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})
	return ns
}

// wake makes the bridge's end of a link take what XDP sends into it: see l4.Peer.
func (s *site) wake(name string) {
	s.Helper()
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2 /* XDP_PASS */), asm.Return()},
	})
	s.must(err)
	defer pass.Close()
	s.in(s.hub, func() error {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		attached, err := link.AttachXDP(link.XDPOptions{Program: pass, Interface: l.Attrs().Index, Flags: link.XDPDriverMode})
		if err == nil {
			s.Cleanup(func() { attached.Close() })
		}
		return err
	})
}

func dressServer(i int) error {
	for _, key := range []string{"arp_ignore=1", "arp_announce=2"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/all/"+key[:len(key)-2], []byte(key[len(key)-1:]), 0); err != nil {
			return err
		}
	}
	if err := addAddress("lo", siteVIP, 32); err != nil {
		return err
	}
	eth0, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	const table = 100
	one := func(a netip.Addr) *net.IPNet { return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)} }
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: one(siteClient), Gw: siteLB.AsSlice(), Table: table}); err != nil {
		return err
	}
	rule := netlink.NewRule()
	rule.Src, rule.Table, rule.Priority, rule.Family = one(siteServer(i)), table, 100, unix.AF_INET
	return netlink.RuleAdd(rule)
}

func setUp(name string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}

func addAddress(name string, a netip.Addr, bits int) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, 32)}})
}

// checksumOff is `ethtool -K NAME tx off`.
func checksumOff(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	args := struct{ command, value uint32 }{unix.ETHTOOL_STXCSUM, 0}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		rest [16]byte
	}{data: unsafe.Pointer(&args)}
	copy(request.name[:], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

// dial connects from the client to a port of the VIP.
func (s *site) dial(port uint16) (*talk, error) {
	ctx, cancel := context.WithTimeout(s.Context(), 3*time.Second)
	defer cancel()
	addr := netip.AddrPortFrom(siteVIP, port)
	conn, err := s.client.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	s.Cleanup(func() { conn.Close() })
	return &talk{conn, addr}, nil
}

// open is dial where it must not fail.
func (s *site) open(port uint16) *talk {
	s.Helper()
	c, err := s.dial(port)
	s.must(err)
	return c
}

// balance returns how many of n new connections each server has answered.
func (s *site) balance(port uint16, n int) map[string]int {
	s.Helper()
	got := map[string]int{}
	for range n {
		c := s.open(port)
		got[c.ask(s.T, "a new connection")]++
		c.conn.Close()
	}
	return got
}

// attached reports whether the balancer's eth0 has an XDP program.
func (s *site) attached() (has bool) {
	s.Helper()
	s.in(s.balancer, func() error {
		l, err := netlink.LinkByName("eth0")
		has = err == nil && l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached
		return err
	})
	return has
}
