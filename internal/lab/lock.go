package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a lock is waited for.
const patience = 10 * time.Second

// Lock keeps others from changing the lab: Up and Down take it themselves,
// unless Options.Locked says that the caller has it. It waits a few seconds
// for the holder; after that the error is ErrBusy and names the process. The
// kernel releases the lock of a process that dies.
func Lock(ctx context.Context, o Options, name string) (unlock func(), err error) {
	if err := checkName("lab", name); err != nil {
		return nil, err
	}
	return o.withDefaults().acquire(ctx, name)
}

// lock is Lock for Up and Down.
func (o Options) lock(ctx context.Context, name string) (unlock func(), err error) {
	if o.Locked {
		return func() {}, nil
	}
	return o.acquire(ctx, name)
}

func (o Options) acquire(ctx context.Context, name string) (unlock func(), err error) {
	// The file is beside the lab's folder, since Down removes that.
	path := filepath.Join(o.Dir, "."+name+".lock")
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if err := ctx.Err(); err != nil { // who gave up wants nothing begun
			return nil, fmt.Errorf("lock lab %s: %w", name, err)
		}
		file, err := tryLock(path)
		if err == nil {
			return func() { release(file, o.Dir) }, nil
		}
		if !errors.Is(err, ErrBusy) {
			return nil, fmt.Errorf("lock lab %s: %w", name, err)
		}
		select {
		case <-waiting.Done():
			return nil, fmt.Errorf("lock lab %s: %w", name, err)
		case <-time.After(wait):
		}
	}
}

// SweepLocks removes the lock files that processes left which were killed before
// their lab had a folder, and the run directory if that was all in it.
func SweepLocks(o Options) error {
	o = o.withDefaults()
	paths, err := filepath.Glob(filepath.Join(o.Dir, ".*.lock"))
	if err != nil {
		return fmt.Errorf("sweep locks: %w", err)
	}
	for _, path := range paths {
		file, err := tryLock(path)
		if errors.Is(err, ErrBusy) {
			continue // somebody is at work
		}
		if err != nil {
			return fmt.Errorf("sweep locks: %w", err)
		}
		release(file, o.Dir)
	}
	return nil
}

// release removes the file before it lets go, and the run directory if that
// was all in it. Whoever waits on the removed file finds out in tryLock.
func release(file *os.File, dir string) {
	_ = os.Remove(file.Name())
	_ = os.Remove(dir)
	_ = file.Close()
}

// tryLock takes the lock or returns ErrBusy. It holds iff the locked file is
// still the one at path.
func tryLock(path string) (*os.File, error) {
	for {
		if err := makeRunDir(filepath.Dir(path)); err != nil {
			return nil, err
		}
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if errors.Is(err, os.ErrNotExist) {
			continue // the run directory was removed in between
		}
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			holder, _ := io.ReadAll(io.LimitReader(file, 64))
			_ = file.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("%w: %s", ErrBusy, describe(strings.TrimSpace(string(holder))))
			}
			return nil, err
		}
		mine, err := file.Stat()
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if there, err := os.Stat(path); err != nil || !os.SameFile(mine, there) {
			_ = file.Close()
			continue // the holder before us removed it
		}
		if err := writePID(file); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		return file, nil
	}
}

// makeRunDir does not mind that somebody removes the directory meanwhile,
// which makes os.MkdirAll say that it exists.
func makeRunDir(dir string) error {
	err := os.MkdirAll(dir, 0o700)
	if info, statErr := os.Stat(dir); errors.Is(err, os.ErrExist) && (statErr != nil || info.IsDir()) {
		return nil
	}
	return err
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(file, "%d\n", os.Getpid())
	return err
}

// describe names a process: `pid 4711 (lbctl up lab.yaml)`.
func describe(pid string) string {
	if pid == "" {
		return "pid unknown"
	}
	line, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
	if err != nil || len(line) == 0 {
		return "pid " + pid
	}
	return fmt.Sprintf("pid %s (%s)", pid, strings.Join(splitZero(line), " "))
}

// splitZero splits what /proc separates by zero bytes.
func splitZero(line []byte) []string {
	return strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
}
