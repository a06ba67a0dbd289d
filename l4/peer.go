package l4

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// Peer is the other end of a veth that a Plane forwards on. Native XDP needs it,
// other hooks leave it alone.
//
// What XDP sends into a veth by XDP_TX waits in the receiver's ring, and the
// kernel wakes the receiver only if it has an XDP program of its own
// (drivers/net/veth.c, veth_xdp_flush). GRO makes the ring, but nobody empties it
// until some other packet comes by: on Linux 6.18 frames were late by seconds on
// an idle link. So the peer gets a program that lets all pass.
type Peer struct {
	NetNS     *netns.Handle // must stay open until Open returns
	Interface string
}

// peerKind takes the place of a hook in the names of peers' links.
const peerKind = "peer"

// attachPeers returns the names of the peers' links in the pin folder.
func (p *Plane) attachPeers() ([]string, error) {
	if len(p.options.Peers) == 0 {
		return nil, nil
	}
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "pass", Type: ebpf.XDP, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2 /* XDP_PASS */), asm.Return()},
	})
	if err != nil {
		return nil, fmt.Errorf("load the program of veth peers: %w", err)
	}
	defer pass.Close()
	var pins []string
	for _, peer := range p.options.Peers {
		pin, err := p.attachPeer(peer, pass)
		if err != nil {
			return nil, fmt.Errorf("attach XDP program to veth peer %q: %w", peer.Interface, err)
		}
		pins = append(pins, pin)
	}
	return pins, nil
}

func (p *Plane) attachPeer(peer Peer, pass *ebpf.Program) (string, error) {
	handle, err := peer.NetNS.Netlink()
	if err != nil {
		return "", err
	}
	defer handle.Close()
	l, err := handle.LinkByName(peer.Interface)
	if err != nil {
		return "", err
	}
	if _, veth := l.(*netlink.Veth); !veth {
		return "", errors.New("it is no veth")
	}
	// The index is one in the peer's own namespace, and others may have it, too.
	pin := fmt.Sprintf("%s-%x", pinOf(peerKind, l.Attrs().Index), peer.NetNS.Cookie())
	return pin, p.attachPinned(peer.NetNS, lb.HookNative, pass, l.Attrs().Index, pin)
}
