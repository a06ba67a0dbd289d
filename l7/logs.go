package l7

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/lb"
	"lbctl/internal/scoreboard"
)

var logFormats = []lb.LogFormat{"", lb.LogCommon, lb.LogCombined, lb.LogJSON, lb.LogTimings}

func validateLog(l lb.AccessLog) error {
	switch {
	case !slices.Contains(logFormats, l.Format):
		return fmt.Errorf("access log: format %q: want one of %q", l.Format, logFormats[1:])
	case strings.ContainsRune(l.Path, '/') && !filepath.IsAbs(l.Path), l.Path == ".", l.Path == "..", strings.ContainsRune(l.Path, 0):
		return fmt.Errorf("access log: path %q: want an absolute one, or a name in the log folder", l.Path)
	}
	return nil
}

// logPath is where a service logs to.
func logPath(folder, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}

// logPatience is how long files may take to open or to take what is written; then others
// go on without them. The master waits longer for its workers, and its clients for it.
const logPatience = 3 * time.Second

// checkLogs makes the files of the access logs that the snapshot before did not have, so
// that what cannot be refuses the snapshot. A log that goes on is no reason to: the health
// of a backend must come into force also when a file system hangs.
func (m *master) checkLogs(s, before lb.Snapshot) error {
	ctx, cancel := context.WithTimeout(context.Background(), logPatience)
	defer cancel()
	for _, v := range s.Services {
		path := v.HTTP.AccessLog.Path
		if v.Plane != lb.L7 || path == "" || hasLog(before, path) {
			continue
		}
		if err := m.checkLog(ctx, path); err != nil {
			return fmt.Errorf("service %s: %w", v.Name, err)
		}
	}
	return nil
}

// hasLog reports whether a service of a snapshot logs there.
func hasLog(s lb.Snapshot, path string) bool {
	return slices.ContainsFunc(s.Services, func(v lb.Service) bool { return v.Plane == lb.L7 && v.HTTP.AccessLog.Path == path })
}

// checkLog makes the file of an access log. However many ask for one that hangs, one thread
// waits for it.
func (m *master) checkLog(ctx context.Context, path string) error {
	at := logPath(m.logFolder, path)
	checked := m.checks.DoChan(at, func() (any, error) {
		if !filepath.IsAbs(path) {
			if err := os.MkdirAll(m.logFolder, 0o700); err != nil {
				return nil, fmt.Errorf("make log folder: %w", err)
			}
		}
		return nil, accesslog.Check(at)
	})
	select {
	case result := <-checked:
		return result.Err
	case <-ctx.Done():
		return fmt.Errorf("open log %s: the file does not answer: %w", at, ctx.Err())
	}
}

// openLogs gives the services of a table their logs.
func (e *engine) openLogs(t *table, folder string) {
	t.logs = map[string]bool{}
	for _, s := range t.services {
		c := s.HTTP.AccessLog
		if c.Path == "" {
			continue
		}
		c.Path = logPath(folder, c.Path)
		t.logs[c.Path] = true
		account := s.Account
		s.Log = e.logs.Log(c, func(lines int) { account.AddEvents(scoreboard.Unlogged, lines) })
	}
}

// closeLogs ends the logs that no request goes to any more.
func (e *engine) closeLogs() {
	e.logs.Retain(func(path string) bool {
		return e.table.logs[path] || slices.ContainsFunc(e.old, func(t *table) bool { return t.logs[path] })
	})
}

// reopen is for logrotate(8), once it has moved the files away.
func (m *master) reopen(ctx context.Context) error { return m.workers.reopen(ctx) }

// reopen makes the access logs anew, once their files were moved away. No line is
// lost.
func (e *engine) reopen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, logPatience)
	defer cancel()
	return e.logs.Reopen(ctx)
}

// reopen implements workers: this process and all workers reopen their logs, those that
// finish and those that begin as well, and so does the master before this one, if it
// still finishes. Who starts from now on has the new files.
func (p *processes) reopen(ctx context.Context) error {
	p.predecessor.Signal(syscall.SIGUSR1)
	var files []*os.File
	var unsaid error // of the error log, which is no reason to keep the others
	if p.master.errorLog != "" {
		f, err := openErrorLog(p.master.errorLog)
		if err == nil {
			defer f.Close()
			err = sayTo(f)
		}
		if unsaid = err; err == nil {
			files = append(files, f)
		}
	}
	children := p.Status().Children
	errs := make([]error, len(children))
	var all sync.WaitGroup
	for i, child := range children {
		all.Go(func() {
			if err := p.Call(ctx, child.Place, kindReopen, nil, nil, files...); err != nil && !ended(err) {
				errs[i] = fmt.Errorf("reopen logs of worker %d: %w", child.Slot, err)
			}
		})
	}
	all.Wait()
	return errors.Join(append(errs, unsaid)...)
}
