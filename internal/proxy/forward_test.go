package proxy

import (
	"fmt"
	"strings"
	"testing"

	"lbctl/internal/accesslog"
	"lbctl/internal/scoreboard"
)

// bodies keeps what records say of answers.
type bodies struct{ out []uint64 }

// Log implements Log.
func (l *bodies) Log(r *accesslog.Record) { l.out = append(l.out, r.BodyOut) }

// TestForwardedBytesCountLikeCopiedOnes plays the same with a driver that forwards, with
// one that forwards a part, and with one that does not.
func TestForwardedBytesCountLikeCopiedOnes(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 6250)
	play := func(t *testing.T, set func(*theatre)) (out string, th *theatre, log bodies, b scoreboard.Totals) {
		th = newTheatre(t, 1)
		set(th)
		th.service.Log = &log
		k := th.accept()
		for i := range 3 {
			k.says("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0)
			if i == 0 {
				th.connected()
			}
			th.last().says(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body), 7000)
		}
		if len(th.dialled) != 1 || k.ended != "" {
			t.Fatalf("%d connections to the backend, the client's %q", len(th.dialled), k.ended)
		}
		th.idle()
		return k.took(), th, log, th.ledger.Totals(th.cells[BackendKey("web", 1)])
	}
	want, copied, records, backend := play(t, func(th *theatre) { th.copies = true })
	for name, set := range map[string]func(*theatre){"all": func(*theatre) {}, "part": func(th *theatre) { th.stingy = 1 }} {
		t.Run(name, func(t *testing.T) {
			out, th, log, b := play(t, set)
			if th.moved == 0 {
				t.Error("nothing was forwarded")
			}
			if out != want || strings.Count(out, body) != 3 {
				t.Error("the client got something else than copied")
			}
			if fmt.Sprint(log) != fmt.Sprint(records) || log.out[0] != uint64(len(body)) {
				t.Errorf("logged %v, %v copied", log, records)
			}
			if th.count().BytesOut != copied.count().BytesOut || b.BytesOut != backend.BytesOut {
				t.Errorf("counted %d and %d, copied %d and %d", th.count().BytesOut, b.BytesOut, copied.count().BytesOut, backend.BytesOut)
			}
		})
	}
}

func TestForwardingLeavesExcess(t *testing.T) {
	th := newTheatre(t, 1)
	k := th.accept()
	k.says("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0)
	s := th.connected()
	body := strings.Repeat("x", 40_000)
	s.says("HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n"+body+"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", 5000)
	if got := k.took(); bodyOf(got) != body {
		t.Errorf("the client got %d bytes of body", len(bodyOf(got)))
	}
	if th.moved == 0 || s.ended != "closed" {
		t.Errorf("%d bytes forwarded; the backend's connection, which had said too much, is %q", th.moved, s.ended)
	}
}

func TestForwardedAnswersWaitForTheirClient(t *testing.T) {
	th := newTheatre(t, 1)
	th.room = 10_000
	k := th.accept()
	k.says("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0)
	s := th.connected()
	s.takes(1 << 20)
	body := strings.Repeat("x", 300_000)
	s.says("HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n"+body, 5000)
	if !s.paused || s.deadline != 0 || k.deadline == 0 {
		t.Fatalf("the backend is paused: %v, with deadlines %v and %v", s.paused, s.deadline, k.deadline)
	}
	k.takes(1 << 20)
	if s.paused || s.deadline == 0 {
		t.Fatalf("the backend is paused still: %v, %v", s.paused, s.deadline)
	}
	s.eof()
	if k.ended != "drained" || th.count().Errors != 1 {
		t.Errorf("an answer that broke off: the client's connection is %q, %d errors", k.ended, th.count().Errors)
	}
}
