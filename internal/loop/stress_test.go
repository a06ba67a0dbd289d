package loop

import (
	"flag"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

var stressSeed = flag.Uint64("seed", 0, "of the stress test; 0: another one each time")

// end is one end of a stressed connection. It sends a stream that its seed
// determines, in random pieces, and checks the stream that the other end sends,
// while it pauses, closes and resets at random.
type end struct {
	s          *stress
	c          *Conn
	peer       *end
	r          *rand.Rand
	seed       uint32
	total      int
	sent, got  int
	cut        int // close when so many bytes have come; -1: never
	eof, ended bool
}

type stress struct {
	t    *testing.T
	l    *Loop
	open int
	done chan bool
	wait map[netip.AddrPort]*end
	buf  []byte
}

func (e *end) fill(b []byte) {
	for i := range b {
		b[i] = e.at(e.sent + i)
	}
}

func (e *end) at(i int) byte { return byte((uint32(i)*2654435761 + e.seed) >> 13) }

func (e *end) push() {
	for !e.ended && e.sent < e.total && e.c.Pending() < 64<<10 {
		n := min(e.total-e.sent, e.size())
		b := e.s.buf[:n]
		e.fill(b)
		if e.r.IntN(3) == 0 {
			cut := e.r.IntN(n + 1)
			e.c.Writev(b[:cut], b[cut:])
		} else {
			e.c.Write(b)
		}
		e.sent += n
		if e.r.IntN(8) == 0 {
			break
		}
	}
	switch {
	case e.ended:
	case e.sent == e.total:
		e.c.Shutdown()
		e.finish()
	case e.c.Pending() == 0:
		e.s.l.Post(e.push)
	}
}

func (e *end) size() int { return 1 + e.r.IntN(1<<(1+e.r.IntN(17))) }

func (e *end) finish() {
	if e.eof && e.sent == e.total && !e.ended {
		if e.r.IntN(2) == 0 {
			e.c.CloseWhenDrained()
		} else if e.c.Pending() == 0 && e.peer.got == e.total {
			e.c.Close()
		} else {
			e.c.CloseWhenDrained()
		}
		e.over()
	}
}

func (e *end) over() {
	e.ended = true
	if e.s.open--; e.s.open == 0 {
		close(e.s.done)
	}
}

func (e *end) Connected(c *Conn) { e.push() }

func (e *end) Data(c *Conn, b []byte) {
	if e.ended || c != e.c || c.Paused() {
		e.s.t.Errorf("Data of %d bytes: ended %v, paused %v", len(b), e.ended, c.Paused())
	}
	for i, x := range b {
		if x != e.peer.at(e.got+i) {
			e.s.t.Errorf("byte %d is wrong", e.got+i)
			break
		}
	}
	e.got += len(b)
	switch n := e.r.IntN(20); {
	case e.cut >= 0 && e.got >= e.cut:
		if n%2 == 0 {
			c.Close()
		} else {
			c.Abort()
		}
		e.over()
	case n < 3:
		c.Pause()
		if n == 0 {
			c.Resume()
			c.Pause()
		}
		resume := func() {
			if !e.ended {
				c.Resume()
			}
		}
		if n == 1 {
			e.s.l.Post(resume)
		} else {
			e.s.l.After(time.Duration(1+e.r.IntN(20))*time.Millisecond, resume)
		}
	}
}

func (e *end) EOF(c *Conn) {
	if e.eof || e.ended {
		e.s.t.Error("EOF twice, or after the end")
	}
	e.eof = true
	if e.cut < 0 && e.peer.cut < 0 && e.got != e.peer.total {
		e.s.t.Errorf("EOF after %d of %d bytes", e.got, e.peer.total)
	}
	e.finish()
}

func (e *end) Drained(c *Conn) { e.push() }
func (e *end) Expired(c *Conn) { e.s.t.Error("Expired") }

func (e *end) Closed(c *Conn, err error) {
	if e.ended {
		e.s.t.Error("Closed after the end")
	}
	if e.cut < 0 && e.peer.cut < 0 {
		e.s.t.Errorf("Closed with %v, sent %d of %d, got %d of %d", err, e.sent, e.total, e.got, e.peer.total)
	}
	e.over()
}

func (s *stress) newEnd(r *rand.Rand) *end {
	e := &end{s: s, r: rand.New(rand.NewPCG(r.Uint64(), 0)), seed: r.Uint32(), cut: -1}
	e.total = 1 + r.IntN(1<<(10+r.IntN(12)))
	if r.IntN(4) == 0 {
		e.cut = r.IntN(1 << 16)
	}
	return e
}

func TestRandomWritesPausesAndClosesKeepTheStreams(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) { stressLoop(t, start(t, k)) })
}

func stressLoop(t *testing.T, l *Loop) {
	seed := *stressSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	const pairs = 120
	r := rand.New(rand.NewPCG(seed, 1))
	s := &stress{t: t, l: l, open: 2 * pairs, done: make(chan bool), wait: map[netip.AddrPort]*end{}, buf: make([]byte, 1<<18)}
	fd, addr := listener(t, 4096)
	var servers []*end
	on(l, func() {
		_, err := l.Listen(fd, func(c *Conn, _ netip.AddrPort) {
			c.SetHandler(&calls{data: func(c *Conn, b []byte) {
				// The first byte tells which end it is for.
				e := servers[int(b[0])]
				e.c = c
				c.SetHandler(e)
				e.push()
				if len(b) > 1 && !e.ended {
					e.Data(c, b[1:])
				}
			}})
		})
		if err != nil {
			t.Error(err)
		}
		for i := range pairs {
			a, b := s.newEnd(r), s.newEnd(r)
			a.peer, b.peer = b, a
			servers = append(servers, b)
			a.c = l.Connect(addr, a)
			a.c.Write([]byte{byte(i)})
		}
	})
	select {
	case <-s.done:
	case <-time.After(60 * time.Second):
		on(l, func() { t.Errorf("%d ends are open still, seed %d", s.open, seed) })
	}
	settles(t, "no connection is open", func() bool {
		n := 0
		on(l, func() { n = l.Stats().Conns })
		return n == 0
	})
}
