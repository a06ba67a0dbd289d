package lab

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/netns"
)

// How long a process has to end by itself, and how long the kernel has to end
// it then.
const (
	grace     = 2 * time.Second
	killGrace = 10 * time.Second
)

// livesIn returns the inode of the namespace that the process is in, if its
// cookie is one of these.
func livesIn(pid int, cookies map[uint64]bool) (uint64, bool) {
	h, err := netns.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return 0, false // it ended
	}
	defer h.Close()
	return h.Inode(), cookies[h.Cookie()]
}

// endAll ends every process, other than this one, in these namespaces, by
// SIGTERM and then by SIGKILL. It looks again until it finds none, because
// processes make processes.
func endAll(spaces []namespace) error {
	inodes, cookies := map[uint64]bool{}, map[uint64]bool{}
	for _, space := range spaces {
		inodes[space.Inode], cookies[space.Cookie] = true, true
	}
	for deadline := time.Now().Add(killGrace + grace); ; {
		found, err := netns.Processes(inodes)
		if err != nil {
			return err
		}
		ended, err := end(found, func(pid int) bool {
			_, ok := livesIn(pid, cookies)
			return ok
		})
		if err != nil || ended == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("end processes %v: new ones keep coming", found)
		}
	}
}

// end stops those of the processes that are still meant once their identity is
// held by a pidfd, and returns how many those were.
func end(pids []int, meant func(pid int) bool) (int, error) {
	fds := make(map[int]int, len(pids)) // pid -> pidfd
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("open process %d: %w", pid, err)
		}
		if !meant(pid) {
			_ = unix.Close(fd)
			continue
		}
		fds[pid] = fd
	}
	for _, round := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, grace}, {unix.SIGKILL, killGrace}} {
		left := make([]unix.PollFd, 0, len(fds))
		for pid, fd := range fds {
			if err := unix.PidfdSendSignal(fd, round.signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
				return 0, fmt.Errorf("signal process %d: %w", pid, err)
			}
			left = append(left, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
		if waitExit(left, round.wait) {
			return len(fds), nil
		}
	}
	return 0, fmt.Errorf("end processes: some do not even die of SIGKILL: %v", pids)
}

// waitExit reports whether all processes ended in time. A pidfd becomes
// readable when its process does.
func waitExit(left []unix.PollFd, patience time.Duration) bool {
	deadline := time.Now().Add(patience)
	for len(left) > 0 {
		rest := time.Until(deadline).Milliseconds()
		if rest <= 0 {
			return false
		}
		if _, err := unix.Poll(left, int(rest)); err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
		left = slices.DeleteFunc(left, func(p unix.PollFd) bool { return p.Revents != 0 })
	}
	return true
}

// commandLine returns nil for a process that has ended.
func commandLine(pid int) []string {
	line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil || len(line) == 0 {
		return nil
	}
	return splitZero(line)
}
