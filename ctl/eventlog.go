package ctl

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// eventRing is how many events are remembered.
const eventRing = 4096

// eventLog is a ring of events. Readers come back with the last sequence number
// that they saw; nobody queues for them, so a slow reader costs the writer
// nothing and itself a gap.
type eventLog struct {
	log *slog.Logger

	mu   sync.Mutex
	ring []Event
	next uint64 // sequence number of the next event; the first is 1

	more broadcast
}

func newEventLog(log *slog.Logger) *eventLog { return &eventLog{log: log, next: 1} }

// add gives e its place and time and tells the log file and all readers.
func (l *eventLog) add(e Event) {
	e.At = time.Now()
	l.mu.Lock()
	e.Seq = l.next
	l.next++
	if len(l.ring) < eventRing {
		l.ring = append(l.ring, e)
	} else {
		l.ring[(e.Seq-1)%eventRing] = e
	}
	l.mu.Unlock()
	l.more.fire()
	level := slog.LevelInfo
	if e.Kind == EventApplyFailed || e.Kind == EventPersistFailed || e.Kind == EventReloadRefused {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, e.Message, "event", e.Kind, "seq", e.Seq, "revision", e.Revision)
}

// after returns up to max events that follow since, oldest first. If some of
// them are forgotten, or since is from another life of the daemon, a gap comes first.
func (l *eventLog) after(since uint64, max int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.next - uint64(len(l.ring))
	var events []Event
	switch {
	case since >= l.next:
		events = append(events, gap(oldest-1, 0, fmt.Sprintf("event %d is not of this daemon: it has started since", since)))
		since = oldest - 1
	case since+1 < oldest:
		missed := oldest - since - 1
		events = append(events, gap(oldest-1, missed, fmt.Sprintf("%d events are lost: only the last %d are kept", missed, eventRing)))
		since = oldest - 1
	}
	for seq := since + 1; seq < l.next && len(events) < max; seq++ {
		events = append(events, l.ring[(seq-1)%eventRing])
	}
	return events
}

func gap(seq, missed uint64, message string) Event {
	return Event{Seq: seq, At: time.Now(), Kind: EventGap, Missed: missed, Message: message}
}

// read calls f with each event after since, in batches; when there are no more
// it returns, or waits for the next if follow is set, until ctx ends.
func (l *eventLog) read(ctx context.Context, since uint64, follow bool, f func([]Event) error) error {
	for {
		more := l.more.wait() // before looking, so that nothing slips between
		events := l.after(since, 256)
		if len(events) > 0 {
			since = events[len(events)-1].Seq
			if err := f(slices.Clip(events)); err != nil {
				return err
			}
			continue
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-more:
		}
	}
}

// broadcast wakes whoever waits. Its zero value is ready.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns a channel that the next fire closes.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
