package l4

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// Each namespace counts its interfaces from 1, so the other ends of two links
// may have one index.
func TestPeersOfOneIndexInTwoNamespacesBothWakeUp(t *testing.T) {
	if hook != lb.HookNative {
		return // peers are native XDP's
	}
	balancer := newNode(t)
	var peers []Peer
	for i, name := range []string{"eth0", "eth1"} {
		far := newNode(t)
		ok(t, balancer.Do(func() error {
			veth := netlink.NewVeth(netlink.NewLinkAttrs())
			veth.Name, veth.PeerName, veth.PeerNamespace = name, "far", netlink.NsFd(far.Fd())
			ok(t, netlink.LinkAdd(veth))
			up(t, name)
			address(t, name, netip.AddrFrom4([4]byte{198, 18, byte(i), 1}), 24)
			return nil
		}))
		peers = append(peers, Peer{NetNS: far, Interface: "far"})
	}
	p, err := Open(Options{
		NetNS: balancer, Interfaces: []string{"eth0", "eth1"}, Hook: lb.HookNative, MaxFlows: 1 << 10,
		Peers: peers, PinDir: filepath.Join(bpffs, t.Name()),
	})
	ok(t, err)
	defer p.Close()
	index := map[int]bool{}
	for _, peer := range peers {
		l := linkIn(t, peer.NetNS, peer.Interface)
		index[l.Attrs().Index] = true
		if x := l.Attrs().Xdp; x == nil || !x.Attached {
			t.Errorf("peer of index %d has no program", l.Attrs().Index)
		}
	}
	if len(index) != 1 {
		t.Errorf("the peers have the indices %v: want one, or this tests nothing", index)
	}
}

func linkIn(t *testing.T, ns *netns.Handle, name string) (l netlink.Link) {
	t.Helper()
	ok(t, ns.Do(func() (err error) { l, err = netlink.LinkByName(name); return err }))
	return l
}
