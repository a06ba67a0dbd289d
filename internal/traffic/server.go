package traffic

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/http1"
)

// ServerConfig describes one of the lab's web servers.
type ServerConfig struct {
	Name   string           // what X-Server says
	Listen []netip.AddrPort // an unspecified address means every address of its family
	Body   int64            // bytes of the body of "/"
	Loops  int              // event loops, each of which can keep one core busy; 0: 1
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
//
// It is for a process that does nothing else.
func Serve(ctx context.Context, c ServerConfig) error {
	s, err := Listen(ctx, c)
	if err != nil {
		return err
	}
	limitProcs(s.count)
	return s.Serve(ctx)
}

// Server is a web server whose listeners are open.
type Server struct {
	name      string
	body      int64
	count     int // of loops
	listeners []listener
	echoes    []*echoer
	loops     []*serverLoop
}

// Listen opens the listeners of a server; port 0 picks a free one.
func Listen(ctx context.Context, c ServerConfig) (*Server, error) {
	switch {
	case !validName(c.Name):
		return nil, fmt.Errorf("serve: name %q cannot be a header's value", c.Name)
	case c.Body < 0 || c.Body > maxBody:
		return nil, fmt.Errorf("serve: body of %d bytes: want 0 to %d", c.Body, int64(maxBody))
	case len(c.Listen) == 0:
		return nil, errors.New("serve: no address to listen on")
	case c.Loops < 0 || c.Loops > maxLoops:
		return nil, fmt.Errorf("serve: %d loops: want 1 to %d", c.Loops, maxLoops)
	}
	s := &Server{name: c.Name, body: c.Body, count: max(c.Loops, 1)}
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
	e, err := listenDatagrams(ctx, netip.AddrPortFrom(a.Addr(), l.addr.Port()))
	if err != nil {
		return err
	}
	s.echoes = append(s.echoes, e)
	return nil
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		unix.Close(l.fd)
	}
	for _, e := range s.echoes {
		e.Close()
	}
}

// validName allows a token, and colons for names such as "s1:8080".
func validName(s string) bool { return http1.ValidToken(strings.ReplaceAll(s, ":", "")) }

// Addrs returns where the server listens.
func (s *Server) Addrs() []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.addr
	}
	return addrs
}

// Serve answers until ctx ends, as the package's Serve does. It may be called
// once.
func (s *Server) Serve(ctx context.Context) error {
	defer func() {
		for _, l := range s.loops {
			_ = l.events.Close()
		}
	}()
	for range s.count {
		l, err := newServerLoop(s)
		if err != nil {
			s.closeListeners()
			return fmt.Errorf("serve: %w", err)
		}
		s.loops = append(s.loops, l)
	}
	failed := make(chan error, s.count+len(s.echoes))
	var running sync.WaitGroup
	for _, l := range s.loops {
		running.Go(func() { failed <- l.run() })
	}
	for _, e := range s.echoes {
		running.Go(func() { failed <- e.serve() })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.shutdown(after(&running))
	return err
}

// shutdown has the loops take no more connections and end the idle ones, waits
// for the others, then cuts them off.
func (s *Server) shutdown(ended <-chan struct{}) {
	var deaf sync.WaitGroup
	for _, l := range s.loops {
		deaf.Add(1)
		l.events.Post(func() { l.close(); deaf.Done() })
	}
	over := time.After(grace)
	select {
	case <-after(&deaf):
	case <-over: // a loop has failed
	}
	s.closeListeners()
	select {
	case <-ended:
		return
	case <-over:
	}
	for _, l := range s.loops {
		l.events.Stop()
	}
	<-ended
}
