package traffic

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"lbctl/internal/http1"
	"lbctl/internal/loop"
)

// serverLoop is one event loop of a server, with the connections that it has
// accepted. Several share the listening sockets.
type serverLoop struct {
	name    string // of the server
	body    int64  // of the answer to GET /
	events  *loop.Loop
	clock   clock
	accepts []*loop.Listener
	closing bool    // requests in progress are the last
	conns   []*conn // in no order
	spare   []*conn
	sleep   alarms[*conn]
	pace    func(int64) int64

	prepared prepared
	request  http1.Request // scratch
	out      []byte        // what the connection that has its turn is to send
	pieces   [][]byte      // scratch
}

// clock reads the time of a loop between its iterations.
type clock struct {
	base   time.Time
	origin int64
}

func newClock(l *loop.Loop) clock { return clock{time.Now(), l.Now()} }

func (c clock) now() int64 { return c.origin + int64(time.Since(c.base)) }

func newServerLoop(s *Server) (*serverLoop, error) {
	events, err := loop.New(loop.Options{Kind: kind, Alone: s.count == 1})
	if err != nil {
		return nil, err
	}
	l := &serverLoop{name: s.name, body: s.body, events: events, clock: newClock(events)}
	l.pace = l.tick
	for _, from := range s.listeners {
		a, err := events.Listen(from.fd, l.accept)
		if err != nil {
			_ = events.Close()
			return nil, err
		}
		l.accepts = append(l.accepts, a)
	}
	return l, nil
}

func (l *serverLoop) run() error {
	if err := l.events.Run(); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func (l *serverLoop) accept(c *loop.Conn, _ netip.AddrPort) {
	if l.closing {
		c.Close()
		return
	}
	var s *conn
	if n := len(l.spare); n > 0 {
		s, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		s = &conn{}
	}
	s.reset(l, c)
	s.index = len(l.conns)
	l.conns = append(l.conns, s)
	c.SetHandler(s)
}

// forget takes c, which is closed, off the list. It may be used again unless an
// alarm of it is still to come.
func (l *serverLoop) forget(c *conn) {
	last := l.conns[len(l.conns)-1]
	l.conns[c.index], last.index = last, c.index
	l.conns[len(l.conns)-1] = nil
	l.conns = l.conns[:len(l.conns)-1]
	if !c.asleep {
		l.spare = append(l.spare, c)
	}
	c.state = gone
}

// wake has c go on at a time of the loop's clock.
func (l *serverLoop) wake(c *conn, at int64) {
	l.sleep.add(at, c)
	l.events.Pace(l.pace)
}

// tick wakes those whose time has come before it began: who goes to sleep to let
// others have their turn must not wake in it.
func (l *serverLoop) tick(int64) int64 {
	now := l.clock.now()
	for {
		at, ok := l.sleep.next()
		if !ok {
			l.events.Pace(nil)
			return 0
		}
		if at > now {
			return at
		}
		l.sleep.pop().woken()
	}
}

// close begins the end: idle connections end now, the others with the request
// that they are at, and then the loop.
func (l *serverLoop) close() {
	l.closing = true
	for _, a := range l.accepts {
		a.Close()
	}
	for _, c := range slices.Clone(l.conns) {
		if c.idle() {
			c.part()
		}
	}
	l.stopIfEmpty()
}

// stopIfEmpty looks until the kernel has taken what the last connections sent.
func (l *serverLoop) stopIfEmpty() {
	if l.events.Stats().Conns == 0 {
		l.events.Stop()
		return
	}
	l.events.After(time.Millisecond, l.stopIfEmpty)
}
