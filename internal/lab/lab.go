// Package lab makes a scenario's topology real, and takes it away again.
//
// A lab is a folder below the run directory, a set of network namespaces that
// are bind-mounted in it, and the processes that live in those namespaces. One
// of the namespaces, the hub, holds a bridge for each network; every link of a
// node is a veth pair between the node and a bridge port in the hub. Nothing
// is ever made in the host's own namespace.
//
// Up compares what is wanted with what the kernel has and does the difference,
// so it also completes what a killed Up has begun. Down goes by the registry,
// which knows each namespace by its kernel id from before it had a name.
package lab

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"lbctl/internal/netns"
	"lbctl/internal/scenario"
)

// Options say where labs live and who is told about the work.
type Options struct {
	Dir      string                             // the run directory; empty: $LBCTL_RUN, else /run/lbctl
	Self     string                             // the binary whose verb `server` the nodes run; empty: this one
	Version  string                             // of lbctl, kept in the registry
	Locked   bool                               // the caller holds Lock of this lab
	Log      *slog.Logger                       // may be nil
	Progress func(done, total int, what string) // of Up and Down; called by one goroutine at a time; may be nil
}

func (o Options) withDefaults() Options {
	if o.Dir == "" {
		o.Dir = os.Getenv("LBCTL_RUN")
	}
	if o.Dir == "" {
		o.Dir = "/run/lbctl"
	}
	if o.Self == "" {
		o.Self = "/proc/self/exe"
		if path, err := os.Executable(); err == nil {
			o.Self = path
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Progress == nil {
		o.Progress = func(int, int, string) {}
	}
	return o
}

// Errors that callers tell apart.
var (
	ErrNoLab   = errors.New("no such lab")
	ErrNoNode  = errors.New("no such node")
	ErrBusy    = errors.New("lab is being changed by another process")
	ErrForeign = errors.New("not made by this lab")
)

// Lab is a lab that is up, or was when it was opened.
type Lab struct {
	folder   folder
	registry *registry
}

// Open finds the lab of that name. The error is ErrNoLab if there is none.
func Open(o Options, name string) (*Lab, error) {
	o = o.withDefaults()
	if err := checkName("lab", name); err != nil {
		return nil, err
	}
	dir := o.folder(name)
	reg, err := loadRegistry(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open lab %s: %w", name, ErrNoLab)
	}
	if err != nil {
		return nil, fmt.Errorf("open lab %s: %w", name, err)
	}
	return &Lab{folder: dir, registry: reg}, nil
}

// Name is the lab's name.
func (l *Lab) Name() string { return l.registry.Lab }

// Path joins elements to the lab's folder.
func (l *Lab) Path(elem ...string) string { return l.folder.path(elem...) }

// Topology is what Up was asked for last.
func (l *Lab) Topology() scenario.Topology { return l.registry.last() }

// Node opens the namespace of a node; the caller closes it.
func (l *Lab) Node(name string) (*netns.Handle, error) {
	if name == hub {
		return nil, fmt.Errorf("open node %s of lab %s: %w", name, l.Name(), ErrNoNode)
	}
	return l.open(name)
}

// Hub opens the namespace with the bridges; the caller closes it.
func (l *Lab) Hub() (*netns.Handle, error) { return l.open(hub) }

func (l *Lab) open(name string) (*netns.Handle, error) {
	space, ok := l.registry.namespace(name)
	if !ok {
		return nil, fmt.Errorf("open node %s of lab %s: %w", name, l.Name(), ErrNoNode)
	}
	h, err := openOwn(l.folder, space)
	if err != nil {
		return nil, fmt.Errorf("open node %s of lab %s: %w", name, l.Name(), err)
	}
	return h, nil
}

// openOwn opens a namespace by its name and makes sure that it is the one the
// registry means. The error is ErrForeign if it is another.
func openOwn(dir folder, space namespace) (*netns.Handle, error) {
	h, err := netns.Open(dir.netns(space.Node))
	if err != nil {
		return nil, err
	}
	if h.Cookie() != space.Cookie {
		return nil, errors.Join(fmt.Errorf("namespace at %s: %w", dir.netns(space.Node), ErrForeign), h.Close())
	}
	return h, nil
}
