package scoreboard

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestReadersSeeWhatTheOwnerWrote(t *testing.T) {
	b := newBoard(t, Sizes{3, 2, 1})
	NewLedger(b).Admit(1, 7)
	s := b.Slot(1, 1)
	s.Enter(7)
	s.SetConnections(2)
	s.AddRequest(100, 2000)
	s.AddRequest(1, 2)
	before := Now()
	s.Set(Sending, before)

	workers := b.Workers()
	if len(workers) != 4 {
		t.Fatalf("workers = %d, want those of children 0 and 1", len(workers))
	}
	got := workers[3]
	if got.Since > before || got.Since <= before-256 {
		t.Errorf("since %d, want %d", got.Since, before)
	}
	got.Since = 0
	want := Worker{
		Child: 1, Thread: 1, PID: os.Getpid(), Generation: 7, State: Sending,
		Connections: 2, Served: Served{Requests: 2, BytesIn: 101, BytesOut: 2002},
	}
	if got != want {
		t.Errorf("worker = %+v, want %+v", got, want)
	}
	if empty := (Worker{Child: 1, State: Vacant}); workers[2] != empty {
		t.Errorf("unused slot = %+v, want %+v", workers[2], empty)
	}
}

func TestNowIsTheMachinesMonotonicClock(t *testing.T) {
	for range 100 {
		before := clock(unix.CLOCK_MONOTONIC)
		now := Now()
		after := clock(unix.CLOCK_MONOTONIC)
		const tolerance = int64(50 * time.Microsecond)
		if now < before-tolerance || now > after+tolerance {
			t.Fatalf("Now = %d, want between %d and %d", now, before, after)
		}
	}
}

func TestTextIsApachesScoreboard(t *testing.T) {
	var workers []Worker
	for _, letter := range "__SRWKDCGI." + strings.Repeat("_", 53) + "W" {
		workers = append(workers, Worker{State: State(letter)})
	}
	want := "7 requests currently being processed, 55 idle workers\n\n" +
		"__SRWKDCGI." + strings.Repeat("_", 53) + "\nW\n"
	if got := Text(workers); got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
	if got, want := Text(nil), "0 requests currently being processed, 0 idle workers\n\n"; got != want {
		t.Errorf("text of nothing = %q, want %q", got, want)
	}
}
