package ctl

import (
	"context"
	"errors"
	"time"

	"lbctl/internal/flowsync"
	"lbctl/internal/lb"
	"lbctl/l4"
)

// syncTable is the flows of an l4 plane.
type syncTable struct{ *l4.Plane }

// Adopt implements flowsync.Table.
func (t syncTable) Adopt(flows []lb.ToldFlow) (taken, unknown, refused int, err error) {
	a, err := t.Plane.Adopt(flows)
	return a.Taken, a.Unknown, a.Refused, err
}

// joined is the l4 plane of one of two balancers.
type joined struct {
	*l4.Plane
	half *half
}

// Close ends telling of flows, and lets go of the plane.
func (j joined) Close() error {
	var err error
	if link := j.half.link.Swap(nil); link != nil {
		err = link.Close()
	}
	return errors.Join(err, j.Plane.Close())
}

// join lets the plane of a balancer tell the other one of its flows, if the lab
// wants that. That it cannot is no reason not to forward.
func (p *pair) join(node string, plane *l4.Plane) DataPlane {
	n := p.nodes[p.index(node)]
	log := p.log.With("node", node)
	if p.config.Sync == nil {
		if err := plane.Tell(); err != nil {
			log.Warn("stop telling of flows", "error", err)
		}
		return joined{plane, n}
	}
	err := plane.Tell(p.config.Sync.States()...)
	if err == nil {
		var link *flowsync.Link
		link, err = flowsync.Start(flowsync.Options{
			NS: n.ns, Local: n.addr, Peer: p.other(n).addr, Policy: *p.config.Sync, Table: syncTable{plane}, Log: log,
		})
		if err == nil {
			n.link.Store(link)
			p.resync() // the other may have been first, and have told nobody
		}
	}
	if err != nil {
		log.Error("tell the other balancer of flows", "error", err)
	}
	return joined{plane, n}
}

// resync makes both balancers tell each other all they have.
func (p *pair) resync() {
	for _, n := range p.nodes {
		if link := n.link.Load(); link != nil {
			link.Resync()
		}
	}
}

// handOverTimeout bounds how long a failover that was asked for waits until the
// new balancer knows the old one's last flows.
const handOverTimeout = 200 * time.Millisecond

// handOver tells to what from has learnt since the last batch.
func handOver(ctx context.Context, from, to *half) {
	teller, listener := from.link.Load(), to.link.Load()
	if teller == nil || listener == nil {
		return
	}
	sent, heard := teller.Stats().MessagesSent, listener.Stats().MessagesReceived
	due := heard + teller.Flush() - sent
	ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
	defer cancel()
	for listener.Stats().MessagesReceived < due {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Millisecond):
		}
	}
}
