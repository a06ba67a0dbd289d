package l4

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// systemPins is where machines have their BPF file system.
const systemPins = "/sys/fs/bpf"

// PreparePins makes dir a folder that Options.PinDir can name. If it is on no
// BPF file system, one is mounted: at /sys/fs/bpf, where every machine has it, if
// dir is below that, else at dir itself.
func PreparePins(dir string) error {
	if strings.HasPrefix(dir, systemPins+"/") {
		if err := mountBPF(systemPins); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make pin folder: %w", err)
	}
	return mountBPF(dir)
}

func mountBPF(path string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return fmt.Errorf("find the file system of %s: %w", path, err)
	}
	if stat.Type == unix.BPF_FS_MAGIC {
		return nil
	}
	if err := unix.Mount("bpf", path, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount a BPF file system at %s: %w", path, err)
	}
	return nil
}

// Pinned reports whether dir holds pins of a plane.
func Pinned(dir string) (bool, error) {
	names, err := pins(dir)
	return len(names) > 0, err
}

// pins returns the names of what is pinned in dir. Those with a dot are the
// kernel's own (maps.debug, at the root of a BPF file system): no pin can have one.
func pins(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read pin folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		if !strings.Contains(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Flush ends the forwarding of what is pinned in dir, at once, and removes the
// folder. No Plane may be open on it. That there is nothing is no error.
func Flush(dir string) error {
	names, err := pins(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		// To remove the pin would end the link, too, but some time later.
		l, err := link.LoadPinnedLink(filepath.Join(dir, name), nil)
		if err != nil {
			continue // a program or a map
		}
		if err := errors.Join(l.Detach(), l.Close()); err != nil {
			return fmt.Errorf("detach %s: %w", name, err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove pin: %w", err)
		}
	}
	// First what tells that the rest is whole: see unpinHalf. Links have gone by now.
	for _, name := range append([]string{xdpMapAboutMaps}, names...) {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("remove pin: %w", err)
		}
	}
	if err := os.Remove(dir); !errors.Is(err, unix.EBUSY) {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	// PreparePins has mounted it.
	if err := unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("unmount the BPF file system at %s: %w", dir, err)
	}
	return os.Remove(dir)
}
