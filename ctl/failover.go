package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"lbctl/internal/takeover"
)

// failoverTimeout bounds what a Client waits for.
const failoverTimeout = 15 * time.Second

// FailoverRequest asks for another active balancer.
type FailoverRequest struct {
	To    string `json:"to,omitempty"`    // empty: the one that is not active
	Crash bool   `json:"crash,omitempty"` // the active one is cut off first, without notice
}

// FailoverResult says who took over from whom. Both are the same if To was
// active already.
type FailoverResult struct {
	From string        `json:"from"`
	To   string        `json:"to"`
	Took time.Duration `json:"took"` // from the first step until the new one's first announcement
}

// EventKinds of a pair of balancers.
const (
	EventBalancer EventKind = "balancer" // one was cut off, or connected again
	EventFailover EventKind = "failover" // another one is active
)

// Failover makes another balancer active. When one is cut off and its standby
// decides for itself, it returns once that has happened.
func (c *Controller) Failover(ctx context.Context, r FailoverRequest) (FailoverResult, error) {
	if c.options.pair == nil {
		return FailoverResult{}, problem(http.StatusConflict, "lab %s has one balancer: there is nothing to fail over to; see balancers in its scenario", c.options.Lab)
	}
	return c.options.pair.failover(ctx, r)
}

func (p *pair) failover(ctx context.Context, r FailoverRequest) (FailoverResult, error) {
	began := time.Now()
	result, err := p.begin(ctx, r)
	if err == nil && result.To == "" {
		from := p.nodes[p.index(result.From)]
		result.To = p.other(from).name
		err = p.await(ctx, from)
	}
	result.Took = time.Since(began)
	return result, err
}

// begin does all that is asked for but waiting: To is empty if the standby is to
// find out by itself.
func (p *pair) begin(ctx context.Context, r FailoverRequest) (FailoverResult, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := p.current()
	to := p.other(from)
	switch asked := p.index(r.To); {
	case r.To != "" && asked < 0:
		return FailoverResult{}, notFound("balancer", r.To, "", []string{p.nodes[0].name, p.nodes[1].name})
	case r.To == from.name && r.Crash:
		return FailoverResult{}, problem(http.StatusConflict, "%s is active: it cannot crash and be active", from.name)
	case r.To == from.name:
		return FailoverResult{From: from.name, To: from.name}, nil
	}
	p.look()
	if !to.connected.Load() {
		return FailoverResult{}, problem(http.StatusConflict, "%s is cut off and cannot take over; 'lbctl up FILE' connects it again", to.name)
	}
	reason := "as asked for"
	if r.Crash {
		reason = from.name + " was cut off"
		if err := takeover.Cut(p.hub, from.ports); err != nil {
			return FailoverResult{}, fmt.Errorf("cut %s off: %w", from.name, err)
		}
		p.look()
		if p.herald != nil {
			return FailoverResult{From: from.name}, nil
		}
	}
	if err := p.move(ctx, from, to, reason); err != nil {
		return FailoverResult{}, err
	}
	return FailoverResult{From: from.name, To: to.name}, nil
}

// move makes to the active balancer. While from lives it is the first to know,
// so that no address is in two places; from goes on forwarding what still
// reaches it. One that is cut off cannot be told; it loses the addresses
// afterwards, as a machine does that boots. mu is held.
func (p *pair) move(ctx context.Context, from, to *half, reason string) error {
	held := union(p.record.Held, p.config.Floating)
	if err := p.save(pairRecord{Active: to.name, Since: time.Now(), Held: held}); err != nil {
		return err
	}
	alive := from.connected.Load()
	var errs []error
	if alive {
		handOver(ctx, from, to)
		errs = append(errs, from.host.Drop(held))
	}
	p.active.Store(int32(slices.Index(p.nodes, to)))
	_, err := to.host.Take(p.config.Floating)
	errs = append(errs, err, to.host.Announce(p.config.Floating))
	p.repeat = announcements
	if !alive {
		errs = append(errs, from.host.Drop(held))
	}
	p.event(Event{Kind: EventFailover, Node: to.name, Message: fmt.Sprintf("balancer %s took over from %s: %s", to.name, from.name, reason)})
	p.moved.fire()
	return errors.Join(errs...)
}
