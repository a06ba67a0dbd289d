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

// attachTime is how long strace may take to attach to all threads.
const attachTime = time.Second

// count counts system calls per request under strace, which slows everything down:
// nothing else of such a run is of use.
func (b *bench) count(ctx context.Context, r *running, s site, c load) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.seconds+patience)
	defer cancel()
	args := []string{"-f", "-c", "-o", s.Dir + "/strace"}
	for _, pid := range r.group.pids() {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	trace := exec.CommandContext(ctx, "strace", args...)
	if err := trace.Start(); err != nil {
		return 0, err
	}
	time.Sleep(attachTime)
	w, err := b.load(ctx, s, c, b.seconds)
	_ = trace.Process.Signal(syscall.SIGINT)
	_ = trace.Wait()
	if err != nil {
		return 0, err
	}
	calls, err := totalOf(s.Dir + "/strace")
	return calls / float64(w.requests), err
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
