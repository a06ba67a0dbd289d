package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"lbctl/internal/scenario"
)

// registryFormat changes when an older lbctl could not read the file.
const registryFormat = 1

// registry is what a lab knows of itself, kept in lab.json. It is written
// before the deed: what exists is in it, what is in it may not exist yet or
// any more.
type registry struct {
	Format     int                 `json:"format"`
	Lab        string              `json:"lab"`
	Boot       string              `json:"boot"` // the kernel's boot id: nothing of a lab outlives a boot
	Created    time.Time           `json:"created"`
	Version    string              `json:"version"` // of the lbctl that wrote this
	BPFFS      string              `json:"bpffs"`   // where this lab's is mounted
	Namespaces []namespace         `json:"namespaces"`
	Complete   bool                `json:"complete"`   // Up has come to its end
	Topologies []scenario.Topology `json:"topologies"` // the one that was completed, then those begun since; the last is the wanted one
}

// namespace is one that the lab made. The cookie is its identity; the inode
// is where to look for it.
type namespace struct {
	Node   string `json:"node"`
	Cookie uint64 `json:"cookie"`
	Inode  uint64 `json:"inode"`
	Path   string `json:"path"`
}

func newRegistry(o Options, lab string) (*registry, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	return &registry{
		Format: registryFormat, Lab: lab, Boot: boot, Created: time.Now().UTC(), Version: o.Version,
		BPFFS: o.folder(lab).bpffs(),
	}, nil
}

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}

// loadRegistry returns fs.ErrNotExist if there is none.
func loadRegistry(dir folder) (*registry, error) {
	data, err := os.ReadFile(dir.registry())
	if err != nil {
		return nil, fmt.Errorf("read registry: %w", err)
	}
	reg := &registry{}
	if err := json.Unmarshal(data, reg); err != nil {
		return nil, fmt.Errorf("read registry %s: %w", dir.registry(), err)
	}
	if reg.Format != registryFormat {
		return nil, fmt.Errorf("read registry %s: format %d of lbctl %s, this lbctl knows %d",
			dir.registry(), reg.Format, reg.Version, registryFormat)
	}
	return reg, nil
}

// save replaces lab.json; after a crash there is the old one or the new one.
func (r *registry) save(dir folder) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write registry: %w", err)
	}
	if err := replaceFile(dir.registry(), data); err != nil {
		return fmt.Errorf("write registry: %w", err)
	}
	return nil
}

func replaceFile(path string, data []byte) error {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// ofThisBoot reports whether anything in the registry can still exist.
func (r *registry) ofThisBoot() bool {
	boot, err := bootID()
	return err == nil && boot == r.Boot
}

// last is the topology that Up was asked for last.
func (r *registry) last() scenario.Topology {
	if len(r.Topologies) == 0 {
		return scenario.Topology{Lab: r.Lab}
	}
	return r.Topologies[len(r.Topologies)-1]
}

// begin notes that t is on its way.
func (r *registry) begin(t scenario.Topology) {
	r.Complete = false
	if !reflect.DeepEqual(r.last(), t) || len(r.Topologies) == 0 {
		r.Topologies = append(r.Topologies, t)
	}
}

// finish notes that t and nothing else is there.
func (r *registry) finish(t scenario.Topology) {
	r.Complete = true
	r.Topologies = []scenario.Topology{t}
}

func (r *registry) namespace(node string) (namespace, bool) {
	i := slices.IndexFunc(r.Namespaces, func(n namespace) bool { return n.Node == node })
	if i < 0 {
		return namespace{}, false
	}
	return r.Namespaces[i], true
}

// put adds a namespace in place of an earlier one of the same node.
func (r *registry) put(space namespace) {
	r.drop(space.Node)
	r.Namespaces = append(r.Namespaces, space)
}

func (r *registry) drop(node string) {
	r.Namespaces = slices.DeleteFunc(r.Namespaces, func(n namespace) bool { return n.Node == node })
}

// absent reports whether the error of loadRegistry says that there is none.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) }
