package l7

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// poolSettings are what a pool is made from. A backend whose settings stay the
// same keeps its pool through every snapshot.
type poolSettings struct {
	addr            netip.AddrPort
	connect, answer time.Duration
	idle            int
}

func settingsOf(b lb.Backend, h lb.HTTP) poolSettings {
	return poolSettings{b.Addr, h.ConnectTimeout, h.BackendHeadTimeout, h.IdleConns}
}

// pool holds the connections to one backend.
type pool struct {
	poolSettings
	counters  *counters
	dialer    net.Dialer
	transport http.Transport

	users atomic.Int64 // requests in flight

	mu    sync.Mutex // not on the way of a request over a pooled connection
	quiet bool       // the backend takes nothing new: keep no connection that nobody uses
	conns map[*backendConn]struct{}
}

func newPool(s poolSettings, c *counters) *pool {
	p := &pool{poolSettings: s, counters: c, conns: map[*backendConn]struct{}{}}
	p.dialer.Timeout = s.connect
	p.dialer.SetMultipathTCP(false)
	p.dialer.Control = func(_, _ string, raw syscall.RawConn) error {
		return setOptions(raw, [][3]int{{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stallTimeout.Milliseconds())}})
	}
	p.transport = http.Transport{
		DialContext:            p.dial,
		DisableCompression:     true,
		DisableKeepAlives:      s.idle < 0,
		MaxIdleConnsPerHost:    s.idle,
		IdleConnTimeout:        backendIdleTimeout,
		ResponseHeaderTimeout:  s.answer,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeadBytes,
	}
	return p
}

// dial makes a connection to the backend, whatever address it is asked for.
func (p *pool) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := p.dialer.DialContext(ctx, tcpNetwork(p.addr), p.addr.String())
	if err != nil {
		return nil, &dialError{err}
	}
	p.counters.connections.Add(1)
	conn := &backendConn{c, p}
	p.mu.Lock()
	p.conns[conn] = struct{}{}
	p.mu.Unlock()
	p.tidy() // the request it was made for may have ended meanwhile
	return conn, nil
}

func (p *pool) forget(c *backendConn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

func (p *pool) begin() {
	p.counters.begin()
	p.users.Add(1)
}

func (p *pool) end() {
	p.counters.end()
	if p.users.Add(-1) == 0 {
		p.tidy()
	}
}

// wake lets the pool keep connections again. It must be called before the first
// request may come, so that no tidy that is under way closes its connection.
func (p *pool) wake() {
	p.mu.Lock()
	p.quiet = false
	p.mu.Unlock()
}

// hush tells the pool that its backend takes nothing new. Idle connections are
// closed at once and the others when their requests end.
func (p *pool) hush() {
	p.mu.Lock()
	p.quiet = true
	p.mu.Unlock()
	p.transport.CloseIdleConnections()
	p.tidy()
}

// tidy closes what a quiet pool has left when nobody uses it. net/http alone
// would keep a connection that a late request brought back.
func (p *pool) tidy() {
	if p.users.Load() != 0 {
		return
	}
	p.mu.Lock()
	var all []*backendConn
	if p.quiet {
		all = p.takeAll()
	}
	p.mu.Unlock()
	closeConns(all)
}

// cut closes every connection, in use or not.
func (p *pool) cut() {
	p.mu.Lock()
	all := p.takeAll()
	p.mu.Unlock()
	closeConns(all)
}

// takeAll empties the set of connections. The caller holds mu.
func (p *pool) takeAll() []*backendConn {
	all := slices.Collect(maps.Keys(p.conns))
	clear(p.conns)
	return all
}

// closeConns closes below the transport, which notices and forgets them.
func closeConns(conns []*backendConn) {
	for _, c := range conns {
		c.Conn.Close()
	}
}

// dialError marks that a connection could not be made, so nothing was sent.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }
