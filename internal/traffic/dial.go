package traffic

import (
	"context"
	"net/netip"
	"time"
)

// connect connects to the next target: always the same one with keep-alive,
// each in turn without.
func (w *worker) connect() error {
	if !w.g.load.KeepAlive {
		w.target = (w.target + 1) % len(w.g.load.Targets)
	}
	deadline := time.Now().Add(w.g.load.Timeout)
	ctx := deadlineContext{w.g.ctx, deadline}
	c, err := w.g.dialer.DialTCP(ctx, "tcp", netip.AddrPort{}, w.g.load.Targets[w.target])
	if err != nil {
		return err
	}
	_ = c.SetDeadline(deadline)
	w.mu.Lock()
	w.conn = c
	w.mu.Unlock()
	w.in.from = c
	w.in.r, w.in.w = 0, 0
	return nil
}

func (w *worker) disconnect() {
	if w.conn == nil {
		return
	}
	w.mu.Lock()
	w.conn.Close()
	w.conn = nil
	w.mu.Unlock()
}

func (w *worker) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		_ = w.conn.SetDeadline(time.Unix(1, 0))
	}
}

// deadlineContext adds a deadline to a context without the timer that
// context.WithDeadline would start for each connection: net reads it.
type deadlineContext struct {
	context.Context
	deadline time.Time
}

func (c deadlineContext) Deadline() (time.Time, bool) { return c.deadline, true }
