package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/scoreboard"
)

// socket is a Conn that remembers what was done to it.
type socket struct {
	t        testing.TB
	name     string
	room     int // that the peer has; less than 0: no end of it
	out      []byte
	pending  int
	paused   bool
	shut     bool
	final    bool   // the last has been written
	ended    string // how: closed, drained, aborted
	deadline time.Duration
	bulk     bool
	unread   []byte // that has come, and that Forward may take
	lost     bool   // reset by the other end: ending it changes nothing
}

func (s *socket) Write(b []byte) { s.WriteBuffers([][]byte{b}) }

func (s *socket) WriteBuffers(bs [][]byte) {
	if s.ended != "" || s.shut || s.final {
		s.t.Fatalf("%s: written to after it ended", s.name)
	}
	for _, b := range bs {
		s.out = append(s.out, b...)
		s.pending += len(b)
	}
	if s.room < 0 {
		s.pending = 0
	} else {
		took := min(s.room, s.pending)
		s.room, s.pending = s.room-took, s.pending-took
	}
}

func (s *socket) WriteLast(bs [][]byte) {
	s.WriteBuffers(bs)
	s.final = true
}

func (s *socket) Pending() int             { return s.pending }
func (s *socket) Bulk(on bool)             { s.bulk = on }
func (s *socket) Pause()                   { s.paused = true }
func (s *socket) Resume()                  { s.paused = false }
func (s *socket) Shutdown()                { s.shut = true }
func (s *socket) Close()                   { s.end("closed") }
func (s *socket) CloseWhenDrained()        { s.end("drained") }
func (s *socket) Abort()                   { s.end("aborted") }
func (s *socket) Deadline(d time.Duration) { s.deadline = d }
func (s *socket) took() string             { o := string(s.out); s.out = nil; return o }
func (s *socket) end(how string) {
	if s.ended != "" && !s.lost {
		s.t.Fatalf("%s: %s after it was %s", s.name, how, s.ended)
	}
	s.ended = how
}

// theatre is a Core with a driver that connects to nothing.
type theatre struct {
	testing.TB
	core     *Core
	board    *scoreboard.Board
	ledger   *scoreboard.Ledger
	cells    map[string]int
	front    Front
	service  *Service
	services []*Service
	clients  []*actor
	dialled  []*actor // connections to backends, in order
	stale    bool     // what Alive denies
	now      int64
	room     int    // of new connections
	copies   bool   // Forward moves nothing
	stingy   uint32 // if not 0: by chance Forward moves less than it could
	moved    int    // by Forward
	timers   map[*timer]bool
}

// timer is one that was set and has not rung.
type timer struct {
	th *theatre
	at int64
	f  func()
}

func (a *timer) Stop() { delete(a.th.timers, a) }

// After implements Driver.
func (th *theatre) After(d time.Duration, f func()) Timer {
	a := &timer{th, th.now + int64(d), f}
	th.timers[a] = true
	return a
}

// passes lets time pass, and rings the timers that are due by then.
func (th *theatre) passes(d time.Duration) {
	for until := th.now + int64(d); ; {
		var next *timer
		for a := range th.timers {
			if a.at <= until && (next == nil || a.at < next.at) {
				next = a
			}
		}
		if next == nil {
			th.now = until
			return
		}
		th.now = max(th.now, next.at)
		next.Stop()
		next.f()
	}
}

// actor is one connection's other end.
type actor struct {
	*socket
	client  *ClientConn
	backend *BackendConn
	addr    netip.AddrPort

	connected, over bool // over: it has said EOF
}

func newTheatre(t testing.TB, backends int, change ...func(*lb.Service)) *theatre {
	th := &theatre{TB: t, timers: map[*timer]bool{}, front: Front{VIP: netip.MustParseAddrPort("192.0.2.1:80")}, room: -1}
	th.core = NewCore(th, 1)
	var err error
	if th.board, err = scoreboard.Create(scoreboard.Sizes{Children: 1, Threads: 1, Cells: 20}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { th.board.Close() })
	th.ledger = scoreboard.NewLedger(th.board)
	th.ledger.Admit(0, 1)
	th.core.CountIn(th.board.Slot(0, 0))
	v := lb.Service{Name: "web", Plane: lb.L7, Policy: lb.RoundRobin, HTTP: lb.HTTP{
		ClientHeadTimeout: 1 * time.Second, ClientIdleTimeout: 2 * time.Second, ConnectTimeout: 3 * time.Second,
		ClientBodyTimeout: 2 * time.Second, BackendHeadTimeout: 4 * time.Second, BackendIdleTimeout: 5 * time.Second, TunnelTimeout: 6 * time.Second,
		Retries: 2, IdleConns: 10, IdleConnTimeout: time.Minute, IdleConnMaxAge: time.Hour,
	}}
	for i := range backends {
		v.Backends = append(v.Backends, lb.Backend{
			ID: lb.BackendID(i + 1), Name: fmt.Sprint("s", i+1), Weight: 1, Health: lb.Up,
			Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 80),
		})
	}
	for _, c := range change {
		c(&v)
	}
	th.serve(v)
	return th
}

// serve brings a service into force, and others that its routes lead to.
func (th *theatre) serve(v lb.Service, others ...lb.Service) {
	var keys []string
	all := append([]lb.Service{v}, others...)
	for _, v := range all {
		keys = append(keys, ServiceKey(v.Name))
		for _, b := range v.Backends {
			keys = append(keys, BackendKey(v.Name, b.ID))
		}
	}
	var err error
	if th.cells, err = th.ledger.Retain(1, keys); err != nil {
		th.Fatal(err)
	}
	var services []*Service
	for _, v := range all {
		s, err := NewService(v, th.named(v.Name), func(key string) Account { return Account{th.board.Row(0).Cell(th.cells[key])} })
		if err != nil {
			th.Fatal(err)
		}
		services = append(services, s)
	}
	if err := Link(services); err != nil {
		th.Fatal(err)
	}
	th.core.Wake(services)
	th.service, th.services = services[0], services
	th.front.Serve(th.service)
	th.core.Settle(services)
}

func (th *theatre) named(name string) *Service {
	for _, s := range th.services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// count reads the service's account.
func (th *theatre) count() scoreboard.Totals { return th.countOf("web") }

func (th *theatre) countOf(name string) scoreboard.Totals {
	return th.ledger.Totals(th.cells[ServiceKey(name)])
}

// Connect implements Driver.
func (th *theatre) Connect(b *BackendConn, addr netip.AddrPort) Conn {
	a := &actor{socket: &socket{t: th.TB, name: fmt.Sprint("backend ", len(th.dialled)), room: th.room}, backend: b, addr: addr}
	th.dialled = append(th.dialled, a)
	return a.socket
}

// Alive implements Driver.
func (th *theatre) Alive(Conn) bool { return !th.stale }

// Forward implements Driver.
func (th *theatre) Forward(from, to Conn, bs [][]byte, n uint64) uint64 {
	f, s := from.(*socket), to.(*socket)
	had := s.pending
	s.WriteBuffers(bs)
	if !f.bulk || f.paused || f.ended != "" || had > 0 || th.copies {
		return 0
	}
	n = min(n, uint64(len(f.unread)))
	if th.stingy != 0 {
		th.stingy = th.stingy*1103515245 + 12345
		n = n * uint64(th.stingy>>16&3) / 3
	}
	s.Write(f.unread[:n])
	f.unread = f.unread[n:]
	th.moved += int(n)
	return n
}

// Now implements Driver.
func (th *theatre) Now() int64 { return th.now }

func (th *theatre) accept() *actor {
	a := &actor{socket: &socket{t: th.TB, name: fmt.Sprint("client ", len(th.clients)), room: th.room}}
	a.client = th.core.Accept(a.socket, &th.front, netip.MustParseAddrPort("198.51.100.7:1234"))
	th.clients = append(th.clients, a)
	return a
}

// says has the actor send what is written in pieces of n bytes, 0: whole.
func (a *actor) says(text string, n int) {
	if n <= 0 {
		n = max(len(text), 1)
	}
	for b := []byte(text); len(b) > 0 && a.ended == ""; {
		// A driver's buffer is another's after the call.
		piece := bytes.Clone(b[:min(n, len(b))])
		b = b[len(piece):]
		a.unread = b
		if a.client != nil {
			a.client.Data(piece)
		} else {
			a.backend.Data(piece)
		}
		clear(piece)
		b = a.unread
	}
}

// takes gives the actor room for n bytes more.
func (a *actor) takes(n int) {
	had := a.pending
	took := min(n, a.pending)
	a.pending -= took
	if a.room >= 0 {
		a.room += n - took
	}
	if had > 0 && a.pending == 0 {
		if a.client != nil {
			a.client.Drained()
		} else {
			a.backend.Drained()
		}
	}
}

// last is the connection to a backend that was made last, connected.
func (th *theatre) last() *actor {
	th.Helper()
	if len(th.dialled) == 0 {
		th.Fatal("no connection to a backend was made")
	}
	return th.dialled[len(th.dialled)-1]
}

// connected is the last connection, once it is connected.
func (th *theatre) connected() *actor {
	th.Helper()
	a := th.last()
	a.backend.Connected()
	return a
}

// idle fails the test if anything is counted as in flight.
func (th *theatre) idle() {
	th.Helper()
	for _, s := range th.services {
		if n, queued := s.Account.InFlight(), s.Account.Shared().Queued.Load(); n != 0 || queued != 0 {
			th.Errorf("%s: %d requests are in flight, %d wait", s.Name, n, queued)
		}
		for _, m := range s.Members {
			if n := m.Endpoint.Account.InFlight(); n != 0 {
				th.Errorf("backend %s has %d in flight", m.Name, n)
			}
		}
	}
	if len(th.timers) != 0 {
		th.Errorf("%d timers are left", len(th.timers))
	}
}

func withPort(a netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}

// status is that of the first answer in text.
func status(text string) string {
	if len(text) < 12 {
		return text
	}
	return text[9:12]
}

// bodyOf is what follows the first head in text.
func bodyOf(text string) string {
	_, body, _ := strings.Cut(text, "\r\n\r\n")
	return body
}

var errReset = errors.New("connection reset by peer")
