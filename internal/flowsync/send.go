package flowsync

import (
	"context"
	"net/netip"
	"time"

	"lbctl/internal/lb"
)

// Pace of long walks, so that the receiver's buffer and its program keep up:
// that many messages, then a rest.
const (
	paceMessages = 8
	paceRest     = time.Millisecond
)

// forever is longer than any flow is remembered.
const forever = 365 * 24 * time.Hour

// sendNews tells of changes every Batch.
func (l *Link) sendNews(ctx context.Context) {
	batch := time.NewTicker(l.options.Policy.Batch)
	defer batch.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-batch.C:
			l.Flush()
		}
	}
}

// sendAgain tells of flows that go on every Refresh, and of all when asked to.
func (l *Link) sendAgain(ctx context.Context) {
	refresh := time.NewTicker(l.options.Policy.Refresh)
	defer refresh.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-refresh.C:
			l.walk(ctx, l.options.Policy.Refresh+l.options.Policy.Batch)
		case <-l.resync:
			l.walk(ctx, forever)
		}
	}
}

// Flush sends what is new, now. It returns how many messages were sent since
// Start: once the other end has received as many, it knows what is known here.
func (l *Link) Flush() (messages uint64) {
	l.sending.Lock()
	defer l.sending.Unlock()
	lost, err := l.options.Table.News(func(f lb.ToldFlow) {
		l.pending[flowKey{f.Proto, f.Client, f.VIP}] = f // the newest of a flow
	})
	if err != nil {
		l.options.Log.Warn("read news of flows", "error", err)
	}
	if lost > l.lost {
		l.stats.lost.Add(lost - l.lost)
		l.lost = lost
		l.Resync()
	}
	for _, f := range l.pending {
		l.add(f)
	}
	clear(l.pending)
	l.finish()
	return l.stats.messagesSent.Load()
}

// walk sends the flows that have had a packet within that time. News go between them.
func (l *Link) walk(ctx context.Context, within time.Duration) {
	burst := l.stats.messagesSent.Load()
	err := l.options.Table.Walk(within, func(f lb.ToldFlow) {
		if ctx.Err() != nil {
			return
		}
		l.sending.Lock()
		l.add(f)
		l.sending.Unlock()
		if sent := l.stats.messagesSent.Load(); sent >= burst+paceMessages {
			burst = sent
			time.Sleep(paceRest)
		}
	})
	if err != nil {
		l.options.Log.Warn("walk flows", "error", err)
	}
	l.sending.Lock()
	defer l.sending.Unlock()
	l.finish()
}

// add puts a flow into the message under way, and sends that when it is full.
func (l *Link) add(f lb.ToldFlow) {
	for range 2 {
		if l.out == nil {
			l.out = newMessage(l.options.SyncID)
		}
		ok, err := l.out.add(f)
		if err != nil {
			l.stats.failed.Add(1)
			return
		}
		if ok {
			return
		}
		l.finish()
	}
}

// finish sends the message under way, if there is one.
func (l *Link) finish() {
	if l.out == nil {
		return
	}
	flows, b := l.out.flows, l.out.finish()
	l.out = nil
	if _, err := l.conn.WriteToUDPAddrPort(b, netip.AddrPortFrom(l.options.Peer, Port)); err != nil {
		l.stats.failed.Add(uint64(flows)) // a link that is cut: the other end is told when it is back
		return
	}
	l.stats.messagesSent.Add(1)
	l.stats.bytesSent.Add(uint64(len(b)))
	l.stats.flowsSent.Add(uint64(flows))
}
