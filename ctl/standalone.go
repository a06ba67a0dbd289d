package ctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
	"lbctl/internal/systemd"
)

// StandaloneConfig is all that the daemon of a standalone balancer must be told: a
// plane in the network namespace that the process is in.
type StandaloneConfig struct {
	Name  string
	File  string // where the configuration is, for people
	Dir   string // the balancer's run directory, absolute
	Plane StandalonePlane
	API   netip.AddrPort
	// TokenFile has the bearer token for API. Empty: token in Dir, made if absent.
	TokenFile string
	Config    lb.Config
	// Load reads the configuration anew; an error says what is wrong with it.
	Load func() (lb.Config, error)
	// Flush ends forwarding with the daemon.
	Flush bool
}

// files names what a standalone balancer has in its Dir, as a lab's daemon does.
func (c StandaloneConfig) files() DaemonConfig { return DaemonConfig{Lab: c.Name, Dir: c.Dir} }

// RunStandalone runs the daemon of a standalone balancer until ctx ends or the
// API asks it to. It adopts what forwards; each reload makes it
// take the configuration that Load returns. Unless c.Flush is set, forwarding
// goes on after it. One daemon runs per Dir, and per PinDir of l4.
func RunStandalone(ctx context.Context, c StandaloneConfig, reload <-chan os.Signal) error {
	notifier, err := systemd.FromEnvironment()
	if err != nil {
		return err
	}
	defer notifier.Close()
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	api, token, err := c.listen(ctx)
	if err != nil {
		return err
	}
	here, err := netns.Current()
	if err != nil {
		return err
	}
	defer here.Close()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	plane, err := c.Plane.open(c, here, log)
	if err != nil {
		return err
	}
	w := worker{config: c, notifier: notifier, reload: reload, log: log}
	err = daemon{socket: c.files().socket(), api: api, token: token, work: w.run}.run(ctx, Options{
		Lab: c.Name, File: c.File, StateFile: c.files().state(), Log: log,
		Dial: here.DialContext, Planes: []Plane{plane},
	})
	if c.Flush {
		open, _ := plane.Open(ctx) // it has been open from the beginning
		err = errors.Join(err, open.Close(), c.remove())
		log.Info("forwarding has ended", "of", "balancer "+c.Name)
	}
	return err
}

// lock makes this process the only one at work on the balancer's folders.
func (c StandaloneConfig) lock() (unlock func(), err error) {
	if !filepath.IsAbs(c.Dir) {
		return nil, fmt.Errorf("standalone config: dir %q must be an absolute path", c.Dir)
	}
	if len(c.files().socket()) > maxSocketPath {
		return nil, fmt.Errorf("socket %s is longer than the %d bytes that a unix socket's path may have", c.files().socket(), maxSocketPath)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make run directory: %w", err)
	}
	unlockDir, err := lockFile(c.files().lock())
	if err != nil {
		return nil, c.taken(err)
	}
	release, err := c.Plane.claim(c)
	if err != nil {
		unlockDir()
		return nil, err
	}
	return func() { release(); unlockDir() }, nil
}

// taken says whose the lock is, if it can be told.
func (c StandaloneConfig) taken(err error) error {
	if errors.Is(err, errLocked) {
		ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
		defer cancel()
		client := Dial(c.files().socket())
		defer client.Close()
		if v, asked := client.Version(ctx); asked == nil {
			return fmt.Errorf("balancer %s runs already, as process %d with %s: %w", v.Lab, v.PID, v.File, err)
		}
	}
	return fmt.Errorf("be the only daemon of balancer %s: %w", c.Name, err)
}

// listen opens the API on TCP, if there is to be one.
func (c StandaloneConfig) listen(ctx context.Context) (api net.Listener, token string, err error) {
	if !c.API.IsValid() {
		return nil, "", nil
	}
	if token, err = c.token(); err != nil {
		return nil, "", err
	}
	api, err = new(net.ListenConfig).Listen(ctx, "tcp", c.API.String())
	if err != nil {
		return nil, "", fmt.Errorf("publish API: %w", err)
	}
	return api, token, nil
}

// FlushStandalone ends the forwarding of a balancer whose daemon does not run,
// and removes what it left.
func FlushStandalone(c StandaloneConfig) error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return c.remove()
}

// remove must hold the lock, whose file stays: see lockFile.
func (c StandaloneConfig) remove() error {
	if err := c.Plane.flush(c); err != nil {
		return fmt.Errorf("end forwarding of balancer %s: %w", c.Name, err)
	}
	return removeAll(c.files().state(), c.files().socket(), c.ownToken())
}
