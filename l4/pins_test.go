package l4

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

func TestFlushEndsForwardingAtOnceAndLeavesNothing(t *testing.T) {
	r := newRig(t)
	r.apply(snapshot(lb.RoundRobin, backends(2)...))
	dir := r.options.PinDir
	ok(t, r.Plane.Close())
	if pinned, err := Pinned(dir); err != nil || !pinned {
		t.Errorf("before: pinned %t, %v", pinned, err)
	}
	ok(t, Flush(dir))
	ok(t, r.ns.Do(func() error {
		eth0, err := netlink.LinkByName("eth0")
		ok(t, err)
		if x := eth0.Attrs().Xdp; x != nil && x.Attached {
			t.Error("eth0 still has a program")
		}
		return nil
	}))
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pin folder: %v", err)
	}
	if pinned, err := Pinned(dir); err != nil || pinned {
		t.Errorf("after: pinned %t, %v", pinned, err)
	}
	ok(t, Flush(dir))
	ok(t, os.MkdirAll(dir, 0o700)) // for the rig's own cleaning
}

func TestPinsGetAFileSystemWhereThereIsNone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pins")
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	for range 2 {
		ok(t, PreparePins(dir))
	}
	var stat unix.Statfs_t
	ok(t, unix.Statfs(dir, &stat))
	if stat.Type != unix.BPF_FS_MAGIC {
		t.Errorf("%s is on a file system of type %#x", dir, stat.Type)
	}
	ok(t, Flush(dir))
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Flush: %v", err)
	}
}
