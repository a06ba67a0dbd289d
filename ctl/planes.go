package ctl

import (
	"context"
	"fmt"
	"log/slog"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
	"lbctl/l4"
	"lbctl/l7"
)

// planes are the two planes of a balancer, one of a pair unless that is nil. Each is opened when the first service of
// its own appears: an XDP program on the interface costs every packet something
// and takes segmentation offload from the peer, which a lab of L7 services only
// should not pay, and a proxy that has nothing to do is a process too many in a
// measurement. Once opened, a plane is opened again after every restart.
func planes(c DaemonConfig, b balancer, ns *netns.Handle, pair *pair, log *slog.Logger) []Plane {
	node, validate := "", l4.Validate
	if c.Standby != nil {
		node = b.Node
		log = log.With("node", node)
		if node == c.Standby.Node {
			validate = nil // once is enough
		}
	}
	return []Plane{
		{Name: lb.L4, Node: node, Validate: validate, Open: func(context.Context) (DataPlane, error) {
			p, err := openL4(c, b, ns, log.With("plane", lb.L4))
			if err == nil && pair != nil {
				return pair.join(b.Node, p), nil
			}
			return plane(p, err)
		}},
		{Name: lb.L7, Node: node, Validate: l7.Validate, Open: func(context.Context) (DataPlane, error) {
			return plane(l7.Open(l7.Options{
				Socket: c.l7Socket(b), LogFile: c.l7Log(b), Shape: b.L7,
				Self: c.Self, Start: ns.Start, Log: log.With("plane", lb.L7),
			}))
		}},
	}
}

func openL4(c DaemonConfig, b balancer, ns *netns.Handle, log *slog.Logger) (*l4.Plane, error) {
	options := l4.Options{
		NetNS: ns, Interfaces: b.Interfaces, PinDir: c.pins(b),
		Hook: c.Hook, MaxFlows: c.MaxFlows, TunnelSources: c.TunnelSources, LocalAddresses: c.LocalAddresses, Log: log,
	}
	if len(b.Ports) > 0 {
		hub, err := netns.Open(c.HubNetNS)
		if err != nil {
			return nil, fmt.Errorf("open the hub's namespace: %w", err)
		}
		defer hub.Close()
		for _, port := range b.Ports {
			options.Peers = append(options.Peers, l4.Peer{NetNS: hub, Interface: port})
		}
	}
	return l4.Open(options)
}

// plane keeps the nil pointer that comes with an error from becoming a DataPlane that is not nil.
func plane[P DataPlane](p P, err error) (DataPlane, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}
