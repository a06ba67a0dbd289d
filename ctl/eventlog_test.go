package ctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

func fill(l *eventLog, n int) {
	for range n {
		l.add(Event{Kind: EventRevision, Message: fmt.Sprint(l.next)})
	}
}

func readAll(t *testing.T, l *eventLog, since uint64) []Event {
	t.Helper()
	var all []Event
	if err := l.read(t.Context(), since, false, func(e []Event) error { all = append(all, e...); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEventsAreReadFromAnyPoint(t *testing.T) {
	for _, tt := range []struct {
		events        int
		since         uint64
		first         EventKind
		missed, count uint64
	}{
		{3, 0, EventRevision, 0, 3},
		{3, 2, EventRevision, 0, 1},
		{3, 3, "", 0, 0},
		{3, 9, EventGap, 0, 4}, // of another daemon's life: everything, behind a gap
		{eventRing, 0, EventRevision, 0, eventRing},
		{eventRing + 10, 10, EventRevision, 0, eventRing},
		{eventRing + 10, 0, EventGap, 10, eventRing + 1},
		{3 * eventRing, 7, EventGap, 2*eventRing - 7, eventRing + 1},
	} {
		l := newEventLog(slog.New(slog.DiscardHandler))
		fill(l, tt.events)
		got := readAll(t, l, tt.since)
		if uint64(len(got)) != tt.count {
			t.Errorf("%d events, since %d: read %d, want %d", tt.events, tt.since, len(got), tt.count)
			continue
		}
		if len(got) == 0 {
			continue
		}
		if got[0].Kind != tt.first || got[0].Missed != tt.missed {
			t.Errorf("%d events, since %d: the first is %+v", tt.events, tt.since, got[0])
		}
		for i, e := range got[1:] {
			if e.Seq != got[i].Seq+1 || e.Message != fmt.Sprint(e.Seq) {
				t.Errorf("%d events, since %d: %d (%s) follows %d", tt.events, tt.since, e.Seq, e.Message, got[i].Seq)
			}
		}
	}
}

func TestASlowReaderGetsAGapAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newEventLog(slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var got []Event
		stuck := make(chan struct{})
		done := make(chan error)
		go func() {
			done <- l.read(ctx, 0, true, func(e []Event) error {
				got = append(got, e...)
				<-stuck
				return nil
			})
		}()
		fill(l, 1)
		synctest.Wait()
		start := time.Now()
		fill(l, 2*eventRing)
		if took := time.Since(start); took > 0 {
			t.Errorf("a stuck reader held up the writer for %s", took)
		}
		close(stuck)
		synctest.Wait()
		fill(l, 1)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(got) != 1+1+eventRing+1 || got[1].Kind != EventGap || got[1].Missed != eventRing {
			t.Errorf("read %d events, the second is %+v", len(got), got[1])
		}
	})
}

func TestAReaderThatFailsIsLetGo(t *testing.T) {
	l := newEventLog(slog.New(slog.DiscardHandler))
	fill(l, 1)
	gone := errors.New("gone")
	if err := l.read(t.Context(), 0, true, func([]Event) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("read returned %v", err)
	}
}
