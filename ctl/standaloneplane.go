package ctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
	"lbctl/l4"
	"lbctl/l7"
)

// StandalonePlane is the plane of a standalone balancer: StandaloneL4 or StandaloneL7.
type StandalonePlane interface {
	// claim keeps other daemons from what the plane forwards by, beside Dir.
	claim(c StandaloneConfig) (release func(), err error)
	// open adopts what forwards, or begins to. What keeps it from that is for the
	// operator to mend: it fails, and is not tried again.
	open(c StandaloneConfig, here *netns.Handle, log *slog.Logger) (Plane, error)
	// flush ends forwarding and removes what is left of it.
	flush(c StandaloneConfig) error
}

// StandaloneL4 is the l4 plane on interfaces of this network namespace. NetNS and
// Log need not be set, and PinDir need not exist.
type StandaloneL4 struct{ l4.Options }

func (p StandaloneL4) claim(c StandaloneConfig) (release func(), err error) {
	if !filepath.IsAbs(p.PinDir) {
		return nil, fmt.Errorf("standalone config: pins %q must be an absolute path", p.PinDir)
	}
	if err := l4.PreparePins(p.PinDir); err != nil {
		return nil, err
	}
	if release, err = lockFolder(p.PinDir); err != nil {
		return nil, fmt.Errorf("be the only daemon on the pins of balancer %s: %w", c.Name, err)
	}
	return release, nil
}

func (p StandaloneL4) open(c StandaloneConfig, here *netns.Handle, log *slog.Logger) (Plane, error) {
	if err := p.refuseForeignPins(c); err != nil {
		return Plane{}, err
	}
	p.NetNS, p.Log = here, log.With("plane", lb.L4)
	return opened(Plane{Name: lb.L4, Validate: l4.Validate})(plane(l4.Open(p.Options)))
}

// refuseForeignPins keeps a daemon from numbering backends anew beside flows
// that hold the old numbers.
func (p StandaloneL4) refuseForeignPins(c StandaloneConfig) error {
	pinned, err := l4.Pinned(p.PinDir)
	if err != nil || !pinned {
		return err
	}
	if _, err := os.Stat(c.files().state()); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s holds a plane whose state is not at %s: give the dir that it ran with, or end its forwarding with 'lbctl l4 flush'", p.PinDir, c.files().state())
	}
	return nil
}

func (p StandaloneL4) flush(StandaloneConfig) error { return l4.Flush(p.PinDir) }

// StandaloneL7 is the l7 plane in this network namespace, by a proxy whose socket
// and log are in Dir.
type StandaloneL7 struct {
	Shape lb.Shape
	Self  string // the lbctl binary, absolute
}

// flushTimeout is how long a proxy may take to end: it answers what is in flight.
const flushTimeout = 30 * time.Second

// ProxySocket is where a proxy answers that forwards for a daemon in a folder.
func ProxySocket(dir string) string { return filepath.Join(dir, "l7.sock") }

func (StandaloneL7) claim(c StandaloneConfig) (release func(), err error) {
	if socket := ProxySocket(c.Dir) + ".lock"; len(socket) > maxSocketPath {
		return nil, fmt.Errorf("socket %s is longer than the %d bytes that a unix socket's path may have", socket, maxSocketPath)
	}
	return func() {}, nil // the proxy goes by Dir alone
}

func (p StandaloneL7) open(c StandaloneConfig, _ *netns.Handle, log *slog.Logger) (Plane, error) {
	return opened(Plane{Name: lb.L7, Validate: l7.Validate})(plane(l7.Open(l7.Options{
		Socket: ProxySocket(c.Dir), LogFile: filepath.Join(c.Dir, "l7.log"), Shape: p.Shape, Self: p.Self, Log: log.With("plane", lb.L7),
	})))
}

func (StandaloneL7) flush(c StandaloneConfig) error {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	socket := ProxySocket(c.Dir)
	if err := l7.Quit(ctx, socket); err != nil {
		return err
	}
	// Nobody opens the lock file now, since we are the only daemon.
	return removeAll(socket, socket+".lock", filepath.Join(c.Dir, "l7.log"))
}

// opened makes a plane whose Open gives what is open already.
func opened(p Plane) func(DataPlane, error) (Plane, error) {
	return func(open DataPlane, err error) (Plane, error) {
		p.Open = func(context.Context) (DataPlane, error) { return open, nil }
		return p, err
	}
}

// removeAll removes those of the files that are there.
func removeAll(paths ...string) error {
	var errs []error
	for _, path := range paths {
		if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
