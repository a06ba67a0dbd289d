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
	balancer, err := netns.Open(c.BalancerNetNS)
	if err != nil {
		return fmt.Errorf("open the balancer's namespace: %w", err)
	}
	defer balancer.Close()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	return runDaemon(ctx, c, Options{
		Lab: c.Lab, StateFile: c.state(), Log: log,
		Dial: balancer.DialContext, Planes: planes(c, balancer, log),
	}, api)
}

// runDaemon serves a Controller at the socket and, unless it is nil, at api.
func runDaemon(ctx context.Context, c DaemonConfig, o Options, api net.Listener) error {
	socket, err := listenUnix(c.socket())
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
	ended := make(chan error, 2)
	servers := 1
	go func() { ended <- serve(ctx, socket, handler, o.Log) }()
	switch {
	case api != nil:
		servers++
		o.Log.Info("the API is also served on TCP", "addr", api.Addr())
		go func() { ended <- serve(ctx, api, requireToken(c.Token, handler), o.Log) }()
	case c.API != "":
		o.Log.Warn("no listener was inherited; the API is served at the socket only", "wanted", c.API)
	}
	var errs []error
	for range servers {
		errs = append(errs, <-ended)
		shutdown() // one that broke takes the other along
	}
	errs = append(errs, closeWithin(closeTimeout, controller.Close))
	o.Log.Info("daemon ends; forwarding goes on", "lab", c.Lab)
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
