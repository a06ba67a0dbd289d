package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"lbctl/internal/netns"
	"lbctl/internal/scenario"
)

// procSys reads and writes kernel parameters. Those below net/ are of the
// namespace of the calling thread, so callers are inside netns.Handle.Do.
type procSys struct {
	root  string
	mount *os.File // a procfs mounted nowhere; nil if /proc serves
}

// openProcSys falls back on a procfs of its own where /proc/sys is read-only,
// as in a container. That mount has no place in the file system and ends with
// its file, so nothing has to be cleaned up.
func openProcSys() (procSys, error) {
	if unix.Access("/proc/sys/net", unix.W_OK) == nil {
		return procSys{root: "/proc/sys"}, nil
	}
	return privateProcSys()
}

func privateProcSys() (procSys, error) {
	config, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return procSys{}, fmt.Errorf("open a private procfs: %w", err)
	}
	defer unix.Close(config)
	if err := unix.FsconfigCreate(config); err != nil {
		return procSys{}, fmt.Errorf("create a private procfs: %w", err)
	}
	fd, err := unix.Fsmount(config, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return procSys{}, fmt.Errorf("mount a private procfs: %w", err)
	}
	mount := os.NewFile(uintptr(fd), "procfs")
	return procSys{root: fmt.Sprintf("/proc/self/fd/%d/sys", fd), mount: mount}, nil
}

func (p procSys) close() {
	if p.mount != nil {
		_ = p.mount.Close()
	}
}

func (p procSys) file(key string) string {
	return filepath.Join(p.root, strings.ReplaceAll(key, ".", "/"))
}

// read returns the value with single blanks between its fields; false if this
// kernel or namespace has no such key.
func (p procSys) read(key string) (string, bool) {
	data, err := os.ReadFile(p.file(key))
	if err != nil {
		return "", false
	}
	return squeeze(string(data)), true
}

// set writes only what differs: for some keys the kernel needs its RTNL lock,
// and spins for it.
func (p procSys) set(s scenario.Sysctl) error {
	if value, ok := p.read(s.Key); ok && value == squeeze(s.Value) {
		return nil
	}
	return p.write(s.Key, s.Value)
}

func (p procSys) write(key, value string) error {
	file, err := os.OpenFile(p.file(key), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("set sysctl %s: this kernel does not have it", key)
	}
	if err != nil {
		return fmt.Errorf("set sysctl %s: %w", key, err)
	}
	_, err = file.WriteString(value)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("set sysctl %s to %q: %w", key, value, err)
	}
	return nil
}

// squeeze makes values comparable: the kernel prints tabs between fields.
func squeeze(value string) string { return strings.Join(strings.Fields(value), " ") }

// checkSysctl refuses what is not of one namespace alone.
func checkSysctl(s scenario.Sysctl) error {
	if !strings.HasPrefix(s.Key, "net.") || strings.Contains(s.Key, "..") || strings.Contains(s.Key, "/") {
		return fmt.Errorf("check sysctl %q: only keys that start with \"net.\" belong to a node", s.Key)
	}
	return nil
}

// observeDefaults reads what a fresh namespace has for all these keys.
func observeDefaults(sys procSys, keys map[string][]string) (map[string]string, error) {
	fresh, err := netns.New()
	if err != nil {
		return nil, err
	}
	defer fresh.Close()
	defaults := map[string]string{}
	err = fresh.Do(func() error {
		for _, keys := range keys {
			for _, key := range keys {
				if value, ok := sys.read(defaultKey(key)); ok {
					defaults[key] = value
				}
			}
		}
		return nil
	})
	return defaults, err
}

// defaultKey is where a new interface takes its value from:
// net.ipv4.conf.eth0.rp_filter starts as net.ipv4.conf.default.rp_filter.
func defaultKey(key string) string {
	parts := strings.Split(key, ".")
	perInterface := len(parts) == 5 && (parts[2] == "conf" || parts[2] == "neigh")
	if perInterface && parts[3] != "all" && parts[3] != "lo" {
		parts[3] = "default"
	}
	return strings.Join(parts, ".")
}
