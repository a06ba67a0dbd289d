package l7

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lbctl/internal/lb"
)

// frontend is a VIP: its listener, and the servers of the connections accepted
// there. A snapshot that changes nothing else leaves it alone; one that changes
// the client timeouts starts a new generation of server for new connections,
// while the old ones are served on as they began.
type frontend struct {
	proxy    *proxy
	vip      netip.AddrPort
	listener *net.TCPListener
	counters atomic.Pointer[counters] // of the service that is at the VIP now

	timeouts    clientTimeouts
	generations []*generation // the last one accepts
}

type clientTimeouts struct{ head, idle time.Duration }

func clientTimeoutsOf(h lb.HTTP) clientTimeouts {
	return clientTimeouts{h.ClientHeadTimeout, h.ClientIdleTimeout}
}

func openFrontend(p *proxy, vip netip.AddrPort) (*frontend, error) {
	ln, err := listen(vip)
	if err != nil {
		return nil, err
	}
	return &frontend{proxy: p, vip: vip, listener: ln}, nil
}

// serve makes new connections belong to s. The first call starts accepting.
func (f *frontend) serve(s *service) {
	f.counters.Store(s.counters)
	t := clientTimeoutsOf(s.HTTP)
	if len(f.generations) > 0 {
		if t == f.timeouts {
			return
		}
		f.generations[len(f.generations)-1].stopAccepting()
		f.generations = slices.DeleteFunc(f.generations, func(g *generation) bool { return g.open.Load() == 0 })
	}
	f.timeouts = t
	f.generations = append(f.generations, newGeneration(f, t))
}

// close stops listening, closes idle client connections and waits until the
// requests in flight are answered or ctx ends, then closes the rest.
func (f *frontend) close(ctx context.Context) {
	f.listener.Close()
	var all sync.WaitGroup
	for _, g := range f.generations {
		all.Go(func() {
			if err := g.server.Shutdown(ctx); err != nil {
				g.server.Close()
			}
			<-g.done
		})
	}
	all.Wait()
}

// generation is one http.Server, whose timeouts are fixed, on a frontend's
// listener. It is the net.Listener that its server accepts from.
type generation struct {
	front  *frontend
	server http.Server
	open   atomic.Int64  // connections
	done   chan struct{} // closed when it accepts no more
}

func newGeneration(f *frontend, t clientTimeouts) *generation {
	g := &generation{front: f, done: make(chan struct{})}
	g.server = http.Server{
		Handler:                      f,
		ReadHeaderTimeout:            t.head,
		IdleTimeout:                  t.idle,
		MaxHeaderBytes:               maxHeadBytes,
		ConnContext:                  withClient,
		ConnState:                    g.count,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the backend's to answer
		ErrorLog:                     log.New(debugLog{f.proxy.log}, "", 0),
	}
	f.listener.SetDeadline(time.Time{})
	go func() {
		defer close(g.done)
		g.server.Serve(g) // ends with stopAccepting or the listener's Close
	}()
	return g
}

// stopAccepting returns when the next generation may have the listener. A
// connection that waits in the kernel's queue is left for it.
func (g *generation) stopAccepting() {
	g.front.listener.SetDeadline(time.Unix(1, 0)) // wakes Accept
	<-g.done
}

// Accept implements net.Listener.
func (g *generation) Accept() (net.Conn, error) {
	c, err := g.front.listener.AcceptTCP()
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = net.ErrClosed // net/http would wait and try again after a timeout
		}
		return nil, err
	}
	g.open.Add(1)
	g.front.counters.Load().connections.Add(1)
	return newClientConn(c, g.front), nil
}

// Close implements net.Listener and does nothing: the frontend owns the socket.
func (g *generation) Close() error { return nil }

// Addr implements net.Listener.
func (g *generation) Addr() net.Addr { return g.front.listener.Addr() }

func (g *generation) count(_ net.Conn, s http.ConnState) {
	if s == http.StateClosed || s == http.StateHijacked {
		g.open.Add(-1)
	}
}

// debugLog takes what net/http has to say about single connections.
type debugLog struct{ log *slog.Logger }

func (d debugLog) Write(p []byte) (int, error) {
	d.log.Debug("http server", "message", string(p))
	return len(p), nil
}
