package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func examineBTF(Options) (string, error) {
	const path = "/sys/kernel/btf/vmlinux"
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("no %s: %w", path, err)
	}
	return path, nil
}

const wantFiles = 20000

func examineFiles(Options) (string, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return "", fmt.Errorf("get file limit: %w", err)
	}
	if limit.Max < wantFiles {
		return "", fmt.Errorf("the hard limit is %d; 10,000 connections through the proxy need %d", limit.Max, wantFiles)
	}
	return fmt.Sprintf("hard limit %d", limit.Max), nil
}

const wantMemory = 512 << 20

func examineMemory(Options) (string, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "", fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "MemAvailable:" {
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return "", fmt.Errorf("read memory: %w", err)
		}
		if kib<<10 < wantMemory {
			return "", fmt.Errorf("%d MiB are available; a small lab takes up to %d", kib>>10, wantMemory>>20)
		}
		return fmt.Sprintf("%d MiB available", kib>>10), nil
	}
	return "unknown", nil
}
