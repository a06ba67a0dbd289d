package ctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/netns"
)

const (
	apiFD        = 3              // the inherited TCP listener
	apiFDEnv     = "LBCTL_API_FD" // set if it is there
	closeTimeout = 5 * time.Second
)

// RunDaemon runs the daemon of a lab until ctx ends or the API asks it to.
// Forwarding goes on after it; the next daemon adopts what runs. One daemon runs
// per lab.
func RunDaemon(ctx context.Context, c DaemonConfig) error {
	if err := c.Validate(); err != nil {
		return err
	}
	unlock, err := lockFile(c.lock())
	if err != nil {
		return fmt.Errorf("be the only daemon of lab %s: %w", c.Lab, err)
	}
	defer unlock()
	api, err := inheritedListener()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	o := Options{Lab: c.Lab, StateFile: c.state(), Log: log}
	var spaces []*netns.Handle
	for _, b := range c.balancers() {
		ns, err := netns.Open(b.NetNS)
		if err != nil {
			return fmt.Errorf("open the balancer's namespace: %w", err)
		}
		defer ns.Close()
		spaces = append(spaces, ns)
	}
	o.Dial = spaces[0].DialContext
	if err := c.forgetOthers(); err != nil {
		log.Warn("let go of a balancer that the lab has no more", "error", err)
	}
	if c.Standby != nil {
		hub, err := netns.Open(c.HubNetNS)
		if err != nil {
			return fmt.Errorf("open the hub's namespace: %w", err)
		}
		defer hub.Close()
		if o.pair, err = newPair(c, spaces, hub, log); err != nil {
			return fmt.Errorf("set up two balancers: %w", err)
		}
		o.Dial = o.pair.DialContext
	}
	for i, b := range c.balancers() {
		o.Planes = append(o.Planes, planes(c, b, spaces[i], o.pair, log)...)
	}
	return runDaemon(ctx, c, o, api)
}

// runDaemon serves a Controller at the socket and, unless it is nil, at api.
func runDaemon(ctx context.Context, c DaemonConfig, o Options, api net.Listener) error {
	if api == nil && c.API != "" {
		o.Log.Warn("no listener was inherited; the API is served at the socket only", "wanted", c.API)
	}
	return daemon{socket: c.socket(), api: api, token: c.Token}.run(ctx, o)
}

// daemon is a process that holds a Controller.
type daemon struct {
	socket string
	api    net.Listener // on TCP, for who bears the token; may be nil
	token  string
	// work is done beside serving, until ctx ends; may be nil. Its error ends the daemon.
	work func(ctx context.Context, c *Controller) error
}

// run returns when ctx ends, when the API is told to shut down, or when
// something broke. Forwarding goes on.
func (d daemon) run(ctx context.Context, o Options) error {
	socket, err := listenUnix(d.socket)
	if err != nil {
		return err
	}
	defer socket.Close()
	controller, err := New(o)
	if err != nil {
		return err
	}
	ctx, shutdown := context.WithCancel(ctx)
	defer shutdown()
	handler := newAPI(controller, shutdown)
	parts := []func() error{func() error { return serve(ctx, socket, handler, o.Log) }}
	if d.api != nil {
		o.Log.Info("the API is also served on TCP", "addr", d.api.Addr())
		parts = append(parts, func() error { return serve(ctx, d.api, requireToken(d.token, handler), o.Log) })
	}
	if d.work != nil {
		parts = append(parts, func() error { return d.work(ctx, controller) })
	}
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() { ended <- part() }()
	}
	var errs []error
	for range parts {
		errs = append(errs, <-ended)
		shutdown() // one that broke takes the others along
	}
	errs = append(errs, closeWithin(closeTimeout, controller.Close))
	o.Log.Info("daemon ends; forwarding goes on", "of", o.whose())
	return errors.Join(errs...)
}

// closeWithin keeps a plane that hangs from keeping the daemon.
func closeWithin(d time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(d):
		return fmt.Errorf("let go of the planes: not done after %s", d)
	}
}

// inheritedListener returns the TCP listener that StartDaemon passed on, nil if it passed none.
func inheritedListener() (net.Listener, error) {
	if os.Getenv(apiFDEnv) == "" {
		return nil, nil
	}
	_ = os.Unsetenv(apiFDEnv) // neither it nor the descriptor is for our children
	unix.CloseOnExec(apiFD)
	f := os.NewFile(apiFD, "api")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("use the inherited API listener: %w", err)
	}
	return l, nil
}
