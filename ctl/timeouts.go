package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"lbctl/internal/lb"
	"lbctl/l4"
)

// Timeouts returns after how long without a packet L4 flows are over.
func (c *Controller) Timeouts() lb.Timeouts { return c.latest.Load().inForce() }

// SetTimeouts changes them and returns the revision that has the change. Zero
// ones stay as they are. What is set stays over restarts, and until the
// configuration's own timeouts change.
func (c *Controller) SetTimeouts(ctx context.Context, t lb.Timeouts) (revision uint64, err error) {
	if err := l4.ValidateTimeouts(t); err != nil {
		return 0, problem(http.StatusUnprocessableEntity, "%s", err)
	}
	done := c.do(ctx, func() {
		s := c.latest.Load().state
		next := s
		next.timeouts = t.Or(s.timeouts)
		revision = s.revision
		if next.inForce() == s.inForce() {
			return
		}
		if err = c.commit(&next); err != nil {
			return
		}
		revision = next.revision
		was, now := s.inForce(), next.inForce()
		c.publish(next, Event{Kind: EventTimeouts, Message: fmt.Sprintf(
			"flows' timeouts are tcp %s, fin %s, udp %s; were %s, %s, %s", now.TCP, now.FIN, now.UDP, was.TCP, was.FIN, was.UDP)})
	})
	return revision, errors.Join(done, err)
}

// inForce are those set at runtime, or else the configuration's, or else IPVS's.
func (s state) inForce() lb.Timeouts {
	return s.timeouts.Or(s.config.Timeouts).Or(l4.DefaultTimeouts)
}
