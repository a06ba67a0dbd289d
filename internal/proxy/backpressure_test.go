package proxy

import (
	"strings"
	"testing"

	"lbctl/internal/lb"
)

const getAny = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// Of a client that takes none of its answers no further request is begun, whoever
// makes them, and every one is answered when it takes them.
func TestAClientThatTakesNothingIsNotReadFrom(t *testing.T) {
	const size = 4000
	answer := strings.Repeat("b", size)
	for name, routes := range map[string][]lb.Route{
		"by a backend": nil,
		"here":         {{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: "/"}, Respond: lb.Respond{Status: 200, Body: answer}}},
	} {
		t.Run(name, func(t *testing.T) {
			th := newTheatre(t, 1, func(v *lb.Service) { v.Routes = routes })
			th.room = 0
			c := th.accept()
			th.room = -1
			asked, answered := 0, 0
			serve := func() {
				for ; len(th.dialled) > 0 && th.last().ended == "" && strings.Contains(string(th.last().out), "\r\n\r\n"); answered++ {
					th.last().took()
					th.last().says("HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n"+answer, 0)
				}
			}
			for ; !c.paused; asked += 100 {
				if asked == 1000 {
					t.Fatalf("%d requests are taken, %d bytes of answers pending", asked, c.pending)
				}
				c.says(strings.Repeat(getAny, 100), 0)
				if len(th.dialled) == 1 && answered == 0 {
					th.last().backend.Connected()
				}
				serve()
			}
			if most := maxAhead + 2*size; c.pending > most {
				t.Errorf("%d bytes of answers are pending, want no more than %d", c.pending, most)
			}
			for range 2 * asked {
				c.takes(c.pending)
				serve()
			}
			if got := strings.Count(string(c.out), "HTTP/1.1 200 OK\r\n"); got != asked || c.paused {
				t.Errorf("%d of %d requests are answered; paused: %v", got, asked, c.paused)
			}
		})
	}
}

// A client that has been told to wait goes on waiting for as long as either reason
// lasts: a request that it sent ahead, and a backend that takes none of its body.
func TestABodyThatCameAheadWaitsForTheBackend(t *testing.T) {
	th := newTheatre(t, 1)
	c := th.accept()
	c.says(getAny, 0)
	b := th.connected()
	c.says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"+strings.Repeat("x", 200<<10), 0)
	b.room = 0
	b.says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0)
	if !c.client.x.clientOff || !c.paused {
		t.Fatalf("the backend takes nothing; told so: %v, paused: %v", c.client.x.clientOff, c.paused)
	}
	th.last().takes(1 << 30)
	if c.client.x.clientOff || c.paused {
		t.Errorf("the backend takes everything; told so: %v, paused: %v", !c.client.x.clientOff, c.paused)
	}
}

// The same in a line that moves no further.
func TestABodyThatCameAheadWaitsInLine(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) {
		v.Backends[0].MaxConn = 1
		v.HTTP.Queue = lb.Queue{Length: 10}
	})
	c := th.accept()
	c.says(getAny, 0)
	b := th.connected()
	other := th.accept()
	other.says(getAny, 0)
	c.says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"+strings.Repeat("x", 200<<10), 0)
	b.says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0)
	if c.client.x == nil || c.client.x.queued == 0 {
		t.Fatal("the second request does not stand in line")
	}
	for i := 0; !c.paused; i++ {
		if i == 20 {
			t.Fatalf("%d bytes of a body are kept", len(c.client.x.out))
		}
		c.says(strings.Repeat("x", 100<<10), 0)
	}
}

// What a client says before a tunnel is there, and a backend that takes nothing then.
func TestATunnelsFirstBytesWaitForTheBackend(t *testing.T) {
	th := newTheatre(t, 1)
	c := th.accept()
	c.says("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 0)
	b := th.connected()
	c.says(strings.Repeat("x", 200<<10), 0)
	b.room = 0
	b.says("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 0)
	if !c.paused {
		t.Errorf("paused: %v, %d bytes are pending", c.paused, b.pending)
	}
	b.takes(1 << 30)
	if c.paused {
		t.Error("paused although the backend has taken everything")
	}
}

// An empty line begins no request (RFC 9112, section 2.2): nothing is answered to it.
func TestAnEmptyLineBetweenRequests(t *testing.T) {
	th := newTheatre(t, 1)
	c := th.accept()
	c.says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx\r\n", 0)
	b := th.connected()
	b.says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0)
	c.took()
	if got := c.client.Activity(); got != Idle {
		t.Errorf("after the empty line the client is %v", got)
	}
	c.client.Expired()
	if got := c.took(); got != "" || c.ended == "" {
		t.Errorf("it has got %q, and ended: %q", got, c.ended)
	}
}
