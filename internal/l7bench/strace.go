package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// count counts system calls per request under strace, which slows everything down:
// nothing else of such a run is of use.
func (b *bench) count(ctx context.Context, r *running, s site, c load, m measurement) (measurement, error) {
	args := []string{"-f", "-c", "-o", b.dir + "/strace"}
	for _, pid := range r.group.pids() {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	trace := exec.Command("strace", args...)
	if err := trace.Start(); err != nil {
		return m, err
	}
	time.Sleep(time.Second) // until it has attached to all
	w, err := b.load(ctx, s, c, b.seconds)
	_ = trace.Process.Signal(syscall.SIGINT)
	_ = trace.Wait()
	if err != nil {
		return m, err
	}
	calls, err := totalOf(b.dir + "/strace")
	if err != nil {
		return m, err
	}
	m.Requests, m.Rate, m.Syscalls = w.requests, w.rate, calls/float64(w.requests)
	return m, nil
}

// totalOf reads the last line of strace -c: "100.00 seconds usecs/call calls [errors] total".
func totalOf(file string) (float64, error) {
	out, err := exec.Command("tail", "-1", file).Output()
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(out))
	if len(fields) < 4 || fields[len(fields)-1] != "total" {
		return 0, fmt.Errorf("read %s: %q is no total", file, out)
	}
	return strconv.ParseFloat(fields[3], 64)
}
