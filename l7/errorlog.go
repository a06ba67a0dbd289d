package l7

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// NewLog is what a master or a worker says things to: lines of text, of the shape's
// LogLevel and above. A level that is none counts as info.
func NewLog(to io.Writer, s Shape) *slog.Logger {
	var level slog.Level // info
	_ = level.UnmarshalText([]byte(s.LogLevel))
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}))
}

// errorLog is where the file is that a process says things to as standard error, and
// with it its children: empty if that is no file, but a terminal or a pipe.
func errorLog() string {
	info, err := os.Stderr.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	path, err := os.Readlink("/proc/self/fd/2")
	if err != nil || strings.HasSuffix(path, " (deleted)") {
		return ""
	}
	return path
}

// openErrorLog makes the file anew, if it was moved away.
func openErrorLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("reopen error log: %w", err)
	}
	return f, nil
}

// saying is held to exchange a process's outputs.
var saying sync.Mutex

// sayTo makes f this process's standard error from now on and, if that was the same
// file, its standard output.
func sayTo(f *os.File) error {
	saying.Lock()
	defer saying.Unlock()
	for _, std := range []*os.File{os.Stdout, os.Stderr} { // in this order
		if !sameFile(std, os.Stderr) {
			continue
		}
		if err := unix.Dup3(int(f.Fd()), int(std.Fd()), 0); err != nil {
			return fmt.Errorf("reopen error log: %w", os.NewSyscallError("dup3", err))
		}
	}
	return nil
}

func sameFile(a, b *os.File) bool {
	one, err := a.Stat()
	other, otherErr := b.Stat()
	return err == nil && otherErr == nil && os.SameFile(one, other)
}
