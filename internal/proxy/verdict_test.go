package proxy

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/scoreboard"
)

// ejections plays scenes with the first of two backends until it is ejected, 20 at most,
// and returns after how many it was, 0 if it never was. Three failures in a row eject.
func ejections(t *testing.T, play func(th *theatre, c, b *actor)) int {
	th := newTheatre(t, 2, func(v *lb.Service) {
		v.HTTP.Retries = 0
		v.HTTP.Outlier = lb.Outlier{Failures: 3, Base: time.Minute, Max: time.Minute, MaxShare: 100}
	})
	th.now = 1e9
	for played := 0; played < 20; {
		c := th.accept()
		made := len(th.dialled)
		c.says(getAny, 0)
		b := th.last()
		if first := b.addr.Addr().As4()[3] == 1; first {
			played++
			play(th, c, b)
		} else {
			if made < len(th.dialled) {
				b.backend.Connected()
			}
			b.says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 0)
		}
		if th.ledger.Details(th.cells[BackendKey("web", 1)]).Events[scoreboard.Ejected] > 0 {
			return played
		}
	}
	return 0
}

// An attempt is judged once, by how it ends.
func TestABackendIsJudgedByWholeAnswers(t *testing.T) {
	const half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"
	for name, c := range map[string]struct {
		play func(th *theatre, c, b *actor)
		want int
	}{
		"its answers break off": {func(_ *theatre, _, b *actor) {
			b.backend.Connected()
			b.says(half, 0)
			b.backend.EOF()
		}, 3},
		"its answers stop": {func(_ *theatre, _, b *actor) {
			b.backend.Connected()
			b.says(half, 0)
			b.backend.Expired()
		}, 3},
		"its chunks are none": {func(_ *theatre, _, b *actor) {
			b.backend.Connected()
			b.says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nax\r\n", 0)
		}, 3},
		"it answers 500": {func(_ *theatre, _, b *actor) {
			b.backend.Connected()
			b.says("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 0)
		}, 3},
		"it refuses connections": {func(_ *theatre, _, b *actor) { b.backend.Closed(syscall.ECONNREFUSED) }, 3},
		"clients leave in mid-answer": {func(_ *theatre, c, b *actor) {
			b.backend.Connected()
			b.says(half, 0)
			c.client.Closed(errReset)
		}, 0},
		"clients leave before it answers": {func(_ *theatre, c, b *actor) {
			b.backend.Connected()
			c.client.Closed(errReset)
		}, 0},
		"this machine has no descriptors": {func(_ *theatre, c, b *actor) {
			b.backend.Closed(fmt.Errorf("socket: %w", syscall.EMFILE))
			if got := c.took(); status(got) != "503" {
				t.Errorf("without descriptors the client got %q", got)
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ejections(t, c.play); got != c.want {
				t.Errorf("ejected after %d attempts, want %d (0: never)", got, c.want)
			}
		})
	}
}

// A request whose body nobody takes is late by the backend's fault.
func TestARequestThatTheBackendDoesNotTakeIsNotTheClientsFault(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) { v.HTTP.RequestTimeout = time.Second })
	c := th.accept()
	th.room = 0
	c.says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", 0)
	th.connected()
	c.says(strings.Repeat("x", 100<<10), 0)
	if !c.paused {
		t.Fatal("the client may go on although the backend takes nothing")
	}
	th.passes(2 * time.Second)
	if got := c.took(); status(got) != "504" {
		t.Errorf("the client got %q", got)
	}
}
