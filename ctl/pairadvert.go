package ctl

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"lbctl/internal/takeover"
)

// herald is the sign of life of the active balancer, for a standby that decides
// for itself.
type herald struct {
	pair     *pair
	interval time.Duration
	voices   []*takeover.Voice // by node
	heard    []atomic.Int64    // when each node last heard the other one, or began to listen; nanoseconds since start
	start    time.Time
}

// newHerald is of no use before run.
func newHerald(p *pair, interval time.Duration) (*herald, error) {
	h := &herald{pair: p, interval: interval, heard: make([]atomic.Int64, len(p.nodes)), start: time.Now()}
	for _, n := range p.nodes {
		v, err := takeover.Speak(n.ns, n.addr)
		if err != nil {
			h.close()
			return nil, err
		}
		h.voices = append(h.voices, v)
	}
	return h, nil
}

func (h *herald) close() {
	for _, v := range h.voices {
		_ = v.Close()
	}
}

// run advertises, listens and takes over until the pair is closed.
func (h *herald) run() {
	for i := range h.voices {
		h.pair.ended.Go(func() { h.listen(i) })
	}
	tick := time.NewTicker(h.interval)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-h.pair.done:
			return
		case <-tick.C:
		}
		if now := time.Now(); now.Sub(last) > 2*h.interval {
			h.begin() // this process was held up, so it has missed nothing
		}
		last = time.Now()
		active := h.pair.active.Load()
		_ = h.voices[active].Advertise(h.interval, h.pair.config.Floating) // one that is cut off cannot, which is the point
		h.judge(int(1 - active))
	}
}

// begin forgets that there was silence.
func (h *herald) begin() {
	for i := range h.heard {
		h.heard[i].Store(int64(time.Since(h.start)))
	}
}

func (h *herald) listen(i int) {
	peer := h.pair.nodes[1-i].addr
	for {
		select {
		case <-h.pair.done:
			return
		default:
		}
		from, err := h.voices[i].Hear()
		if err != nil {
			h.pair.log.Warn("listen to the other balancer", "error", err)
			time.Sleep(h.interval)
		}
		if from == peer {
			h.heard[i].Store(int64(time.Since(h.start)))
		}
	}
}

// judge lets a standby take over that has heard nothing for too long. One that
// is cut off itself would be wrong to.
func (h *herald) judge(standby int) {
	p := h.pair
	n := p.nodes[standby]
	silence := time.Since(h.start) - time.Duration(h.heard[standby].Load())
	if silence < takeover.DownAfter(h.interval) || !n.connected.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	from := p.current()
	if from == n {
		return
	}
	err := p.move(context.Background(), from, n, fmt.Sprintf("no advert for %s", silence.Round(10*time.Millisecond)))
	if err != nil {
		p.log.Error("take over", "node", n.name, "error", err)
	}
	h.begin()
}

// await returns once from is no longer active.
func (p *pair) await(ctx context.Context, from *half) error {
	for {
		moved := p.moved.wait()
		if p.current() != from {
			return nil
		}
		select {
		case <-moved:
		case <-p.done:
			return errClosed
		case <-ctx.Done():
			return problem(http.StatusGatewayTimeout, "%s is cut off and its standby has not taken over yet: %s", from.name, ctx.Err())
		}
	}
}
