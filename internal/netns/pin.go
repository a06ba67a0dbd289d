package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pin gives the namespace a name: a bind mount at path, whose folder must
// exist. Pinning again what is pinned there already does nothing; another
// namespace at path is an error.
func (h *Handle) Pin(path string) error {
	if info, err := os.Stat(path); err == nil && isNamespace(path) {
		if inodeOf(info) == h.inode {
			return nil
		}
		return fmt.Errorf("pin network namespace at %s: another one is there: %w", path, fs.ErrExist)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o400)
	if err != nil {
		return fmt.Errorf("pin network namespace: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("pin network namespace: %w", err)
	}
	source := fmt.Sprintf("/proc/self/fd/%d", h.file.Fd())
	if err := unix.Mount(source, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("pin network namespace at %s: %w", path, err)
	}
	return nil
}

// Unpin takes the name away again: every mount at path, then the file. What is
// gone already is no error. The namespace lives on while something uses it.
func Unpin(path string) error {
	for {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err == nil {
			continue // mounts stack
		}
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break // no mount is left, or no file
		}
		return fmt.Errorf("unpin network namespace %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unpin network namespace: %w", err)
	}
	return nil
}

// isNamespace reports whether path is on the kernel's namespace file system.
func isNamespace(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Type == unix.NSFS_MAGIC
}

func inodeOf(info fs.FileInfo) uint64 {
	return info.Sys().(*syscall.Stat_t).Ino
}
