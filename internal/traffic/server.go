package traffic

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ServerConfig describes one of the lab's web servers.
type ServerConfig struct {
	Name   string           // what X-Server says
	Listen []netip.AddrPort // an unspecified address means every address of its family
	Body   int64            // bytes of the body of "/"
}

// grace is how long requests in progress may take once a server is to end.
const grace = 5 * time.Second

// Serve answers HTTP/1 requests until ctx ends, then lets those in progress end.
//
//	/                   a body of the configured size
//	/healthz            "ok"
//	/bytes/N            N bytes
//	/slow/DURATION      "ok" after so long, at most a minute
//	/status/N           that status, 200 to 599
//	/echo               the request as JSON: server, method, target, remote, local, header;
//	                    in X-Client-TOA the client that a TCP option of the SYN told of
//	/sum                POST or PUT: the body's SHA-256 in hex
//
// All but the last take GET, HEAD and POST. An idle connection stays open for
// as long as its client keeps it and answers TCP keep-alive probes, since how
// balancers treat idle connections is for them to show.
//
// Datagrams to the same ports are sent back as they are.
func Serve(ctx context.Context, c ServerConfig) error {
	s, err := Listen(ctx, c)
	if err != nil {
		return err
	}
	return s.Serve(ctx)
}

// Server is a web server whose listeners are open.
type Server struct {
	name      string
	body      int64
	listeners []net.Listener
	echoes    []*echoer
	root      atomic.Pointer[prepared] // answers to GET /
	closing   atomic.Bool
	over      chan struct{} // closed when the grace is over
	mu        sync.Mutex
	conns     map[*conn]struct{}
	wg        sync.WaitGroup
}

// Listen opens the listeners of a server; port 0 picks a free one.
func Listen(ctx context.Context, c ServerConfig) (*Server, error) {
	if !validName(c.Name) {
		return nil, fmt.Errorf("serve: name %q cannot be a header's value", c.Name)
	}
	if c.Body < 0 || c.Body > maxBody {
		return nil, fmt.Errorf("serve: body of %d bytes: want 0 to %d", c.Body, int64(maxBody))
	}
	if len(c.Listen) == 0 {
		return nil, errors.New("serve: no address to listen on")
	}
	s := &Server{name: c.Name, body: c.Body, over: make(chan struct{}), conns: map[*conn]struct{}{}}
	for _, a := range c.Listen {
		if err := s.listen(ctx, a); err != nil {
			s.closeListeners()
			return nil, fmt.Errorf("serve: %w", err)
		}
	}
	return s, nil
}

func (s *Server) listen(ctx context.Context, a netip.AddrPort) error {
	l, err := listen(ctx, a)
	if err != nil {
		return err
	}
	s.listeners = append(s.listeners, l)
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	e, err := listenDatagrams(ctx, netip.AddrPortFrom(a.Addr(), port))
	if err != nil {
		return err
	}
	s.echoes = append(s.echoes, e)
	return nil
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		l.Close()
	}
	for _, e := range s.echoes {
		e.Close()
	}
}

// validName allows a token, and colons for names such as "s1:8080".
func validName(s string) bool {
	return isToken([]byte(strings.ReplaceAll(s, ":", "")))
}

func listen(ctx context.Context, a netip.AddrPort) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: keepAliveByListener}
	lc.SetMultipathTCP(false)
	network := "tcp4"
	switch {
	case a.Addr() == netip.IPv6Unspecified():
		network = "tcp" // both families
	case a.Addr().Is6():
		network = "tcp6"
	}
	return lc.Listen(ctx, network, a.String())
}

// keepAliveByListener switches keep-alive probes on once, on the listener:
// Linux hands the setting down, which saves each connection four system calls.
func keepAliveByListener(_, _ string, c syscall.RawConn) error {
	var err error
	cerr := c.Control(func(fd uintptr) {
		err = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 30),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 10),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_SAVE_SYN, 1), // see savedSYN
		)
	})
	return errors.Join(cerr, err)
}

// Addrs returns where the server listens.
func (s *Server) Addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(s.listeners))
	for i, l := range s.listeners {
		a := l.Addr().(*net.TCPAddr).AddrPort()
		addrs[i] = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return addrs
}

// Serve answers until ctx ends, as the package's Serve does.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, len(s.listeners)+len(s.echoes))
	for _, l := range s.listeners {
		s.wg.Go(func() { failed <- s.accept(l) })
	}
	for _, e := range s.echoes {
		s.wg.Go(func() { failed <- e.serve() })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.shutdown()
	return err
}

func (s *Server) accept(l net.Listener) error {
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			s.start(c.(*net.TCPConn))
		case s.closing.Load():
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
			time.Sleep(10 * time.Millisecond) // others will close theirs
		default:
			return fmt.Errorf("serve: %w", err)
		}
	}
}

func (s *Server) start(tcp *net.TCPConn) {
	c := newConn(s, tcp)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	s.wg.Go(func() {
		c.serve()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
}

// shutdown wakes the idle connections, waits for the others, then cuts them off.
func (s *Server) shutdown() {
	s.closing.Store(true)
	s.closeListeners()
	s.mu.Lock()
	for c := range s.conns {
		c.hurry()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
		return
	case <-time.After(grace):
	}
	close(s.over)
	s.mu.Lock()
	for c := range s.conns {
		c.tcp.Close()
	}
	s.mu.Unlock()
	<-done
}
