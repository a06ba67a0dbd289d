package cli

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"lbctl/internal/scenario"
)

// labHosts names a lab's nodes, and other hosts as this machine's resolver
// does, until that has once kept somebody waiting.
type labHosts struct {
	kernel *labKernel
	mute   bool // the resolver does not answer
}

const resolveTimeout = 2 * time.Second

// Addr returns the IPv4 address of a node or host.
func (h *labHosts) Addr(name string) (addr netip.Addr, ok bool) {
	h.each(func(node string, a netip.Addr) {
		if !ok && node == name && a.Is4() {
			addr, ok = a, true
		}
	})
	if ok {
		return addr, true
	}
	h.ask(func(ctx context.Context) error {
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", name)
		if err == nil && len(addrs) > 0 {
			addr, ok = addrs[0].Unmap(), true
		}
		return err
	})
	return addr, ok
}

// Name returns the name of the node or host at an address.
func (h *labHosts) Name(addr netip.Addr) (name string, ok bool) {
	h.each(func(node string, a netip.Addr) {
		if !ok && a == addr {
			name, ok = node, true
		}
	})
	if ok {
		return name, true
	}
	h.ask(func(ctx context.Context) error {
		names, err := net.DefaultResolver.LookupAddr(ctx, addr.String())
		if err == nil && len(names) > 0 {
			name, ok = strings.TrimSuffix(names[0], "."), true
		}
		return err
	})
	return name, ok
}

// each visits the addresses of nodes. A balancer's are VIPs, too, which are no
// host's names.
func (h *labHosts) each(visit func(node string, addr netip.Addr)) {
	l, err := h.kernel.lab()
	if err != nil || l.lab == nil {
		return
	}
	for _, n := range l.lab.Topology().Nodes {
		if n.Role == scenario.RoleBalancer {
			continue
		}
		for _, link := range n.Links {
			for _, a := range link.Addrs {
				visit(n.Name, a.Addr().Unmap())
			}
		}
	}
}

func (h *labHosts) ask(question func(context.Context) error) {
	if h.mute {
		return
	}
	ctx, cancel := context.WithTimeout(h.kernel.context.Context, resolveTimeout)
	defer cancel()
	var failed *net.DNSError
	if err := question(ctx); errors.As(err, &failed) {
		h.mute = !failed.IsNotFound
	}
}
