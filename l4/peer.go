package l4

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"

	"lbctl/internal/netns"
)

// Peer is the other end of a veth that a Plane forwards on.
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

const peerPin = "peer-"

func (p *Plane) attachPeers(keep map[string]bool) error {
	if len(p.options.Peers) == 0 {
		return nil
	}
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "pass", Type: ebpf.XDP, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2 /* XDP_PASS */), asm.Return()},
	})
	if err != nil {
		return fmt.Errorf("load the program of veth peers: %w", err)
	}
	defer pass.Close()
	for _, peer := range p.options.Peers {
		if err := p.attachPeer(peer, pass, keep); err != nil {
			return fmt.Errorf("attach XDP program to veth peer %q: %w", peer.Interface, err)
		}
	}
	return nil
}

func (p *Plane) attachPeer(peer Peer, pass *ebpf.Program, keep map[string]bool) error {
	handle, err := peer.NetNS.Netlink()
	if err != nil {
		return err
	}
	defer handle.Close()
	l, err := handle.LinkByName(peer.Interface)
	if err != nil {
		return err
	}
	if _, veth := l.(*netlink.Veth); !veth {
		return errors.New("it is no veth")
	}
	pin := peerPin + strconv.Itoa(l.Attrs().Index)
	keep[pin] = true
	return p.attachPinned(peer.NetNS, pass, l.Attrs().Index, pin)
}
