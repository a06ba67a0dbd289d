package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
)

// memory is what a process takes, in bytes.
type memory struct {
	RSS uint64 `json:"rss"` // resident pages
	PSS uint64 `json:"pss"` // the same, each divided by how many processes share it
}

type processMemory struct {
	PID int `json:"pid"`
	memory
}

// memoryOf reads the kernel's account of a process, zero for one that has ended meanwhile.
func memoryOf(pid int) processMemory {
	m := processMemory{PID: pid}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return m
	}
	m.memory = parseRollup(data)
	return m
}

// parseRollup reads proc(5)'s smaps_rollup.
func parseRollup(data []byte) (m memory) {
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var kilobytes uint64
		if n, _ := fmt.Sscanf(lines.Text(), "Rss: %d kB", &kilobytes); n == 1 {
			m.RSS = kilobytes << 10
		}
		if n, _ := fmt.Sscanf(lines.Text(), "Pss: %d kB", &kilobytes); n == 1 {
			m.PSS = kilobytes << 10
		}
	}
	return m
}
