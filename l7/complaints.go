package l7

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"lbctl/internal/accesslog"
)

const (
	complaintsPerSecond = 10  // of one kind that are written
	complaintsWaiting   = 256 // that may wait for the log
)

// complaints are what the proxy says about broken backends, and at level debug
// (lb.Shape.LogLevel) about clients. It implements proxy.Complaints: nobody waits for the log.
type complaints struct {
	log   *slog.Logger
	queue chan complaint
	left  atomic.Int64 // out, for want of room in the queue
	ended sync.WaitGroup
}

type complaint struct {
	what                     accesslog.End
	service, backend, reason string
}

func newComplaints(log *slog.Logger) *complaints {
	c := &complaints{log: log, queue: make(chan complaint, complaintsWaiting)}
	c.ended.Go(c.write)
	return c
}

// Complain implements proxy.Complaints.
func (c *complaints) Complain(what accesslog.End, service, backend, reason string) {
	if !c.log.Enabled(context.Background(), level(what)) {
		return
	}
	select {
	case c.queue <- complaint{what, service, backend, reason}:
	default:
		c.left.Add(1)
	}
}

// level is debug for what any client can cause as often as it likes.
func level(what accesslog.End) slog.Level {
	switch what {
	case accesslog.BadRequest, accesslog.ClientTimeout, accesslog.RequestTimeout:
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

func (c *complaints) write() {
	limits := map[accesslog.End]*limit{}
	for m := range c.queue {
		l := limits[m.what]
		if l == nil {
			l = &limit{}
			limits[m.what] = l
		}
		suppressed, ok := l.take(time.Now())
		if !ok {
			continue
		}
		args := []any{"service", m.service, "reason", m.reason}
		if m.backend != "" {
			args = append(args, "backend", m.backend)
		}
		if n := suppressed + c.left.Swap(0); n > 0 {
			args = append(args, "suppressed", n)
		}
		c.log.Log(context.Background(), level(m.what), m.what.String(), args...)
	}
}

// close must be called after the last Complain. It waits until all is written, but
// not for ever.
func (c *complaints) close(ctx context.Context) {
	close(c.queue)
	written := make(chan struct{})
	go func() {
		c.ended.Wait()
		close(written)
	}()
	select {
	case <-written:
	case <-ctx.Done():
	}
}

// limit lets so many of a kind pass in a second.
type limit struct {
	second     int64
	passed     int
	suppressed int64
}

// take says whether one more passes, and with it how many did not since the last.
func (l *limit) take(now time.Time) (suppressed int64, ok bool) {
	if s := now.Unix(); s != l.second {
		l.second, l.passed = s, 0
	}
	if l.passed == complaintsPerSecond {
		l.suppressed++
		return 0, false
	}
	l.passed++
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}
