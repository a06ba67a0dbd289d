package lab

import (
	"context"
	"errors"
	"fmt"
	"os"

	"lbctl/internal/netns"
)

// Down removes what the registry says this lab made: every process in its
// namespaces, its BPF file system with the pins, the namespaces and its
// folder. It needs no topology, starts anywhere, and does nothing if there is
// no such lab. What is in the lab's places but not the lab's own stays, with
// the folder and the error ErrForeign.
func Down(ctx context.Context, o Options, name string) error {
	o = o.withDefaults()
	if err := checkName("lab", name); err != nil {
		return err
	}
	if _, err := os.Stat(o.Dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	unlock, err := o.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := down(ctx, o, o.folder(name)); err != nil {
		return fmt.Errorf("down lab %s: %w", name, err)
	}
	return nil
}

func down(ctx context.Context, o Options, dir folder) error {
	reg, err := loadRegistry(dir)
	switch {
	case absent(err):
		return removeFolder(dir) // killed before its first write or after its last
	case err != nil:
		// Unreadable: only a folder without mounts is surely dead.
		if removed := removeFolder(dir); removed != nil {
			return errors.Join(err, removed)
		}
		return nil
	case !reg.ofThisBoot():
		return removeFolder(dir)
	}
	return removeRegistered(ctx, o, dir, reg)
}

func removeRegistered(ctx context.Context, o Options, dir folder, reg *registry) error {
	const ending, unmounting = "end processes", "remove namespaces"
	total := len(reg.Namespaces) + 2
	o.Progress(0, total, ending)
	own, foreign, err := reg.open(dir)
	defer closeAll(own)
	if err != nil {
		return err
	}
	if err := endAll(reg.Namespaces); err != nil {
		return err
	}
	o.Progress(1, total, "unmount bpffs")
	if err := unmountBPFFS(dir.bpffs()); err != nil {
		return err
	}
	var names []string
	for _, entry := range reg.Namespaces {
		if !foreign[entry.Node] {
			names = append(names, entry.Node)
		}
	}
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		o.Progress(2+i, total, unmounting)
		if err := netns.Unpin(dir.netns(name)); err != nil {
			return err
		}
	}
	closeAll(own)
	err = removeFolder(dir)
	o.Progress(total, total, "remove folder")
	return err
}

// open opens the namespaces that are alive and the lab's own, which keeps
// their inodes from being reused, and notes where a foreign one sits.
func (r *registry) open(dir folder) (own []*netns.Handle, foreign map[string]bool, err error) {
	foreign = map[string]bool{}
	for _, entry := range r.Namespaces {
		h, err := openOwn(dir, entry)
		switch {
		case err == nil:
			own = append(own, h)
		case errors.Is(err, ErrForeign):
			foreign[entry.Node] = true
		case errors.Is(err, os.ErrNotExist) || errors.Is(err, netns.ErrNotNamespace):
			// never pinned, or unpinned already
		default:
			return own, foreign, err
		}
	}
	return own, foreign, nil
}

func closeAll(handles []*netns.Handle) {
	for _, h := range handles {
		_ = h.Close()
	}
}

// removeFolder removes a lab's files, the registry last of all, if nothing is
// mounted among them any more.
func removeFolder(dir folder) error {
	mounts, err := mountsBelow(string(dir))
	if err != nil {
		return err
	}
	if len(mounts) > 0 {
		return fmt.Errorf("leave mounts %v: %w", mounts, ErrForeign)
	}
	entries, err := os.ReadDir(string(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove folder: %w", err)
	}
	for _, entry := range entries {
		if path := dir.path(entry.Name()); path != dir.registry() {
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("remove folder: %w", err)
			}
		}
	}
	if err := os.RemoveAll(string(dir)); err != nil {
		return fmt.Errorf("remove folder: %w", err)
	}
	return nil
}
