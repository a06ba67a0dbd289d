package netns

import (
	"fmt"
	"os"
	"strconv"
)

// Processes lists the processes, other than the caller's own, whose network
// namespace has one of these inodes. The answer is of the moment: processes
// come and go meanwhile. Inodes are reused, so hold the namespaces open.
func Processes(inodes map[uint64]bool) ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == os.Getpid() {
			continue
		}
		// A process that ended meanwhile, or is a zombie, has no namespace.
		info, err := os.Stat("/proc/" + name + "/ns/net")
		if err == nil && inodes[inodeOf(info)] {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
