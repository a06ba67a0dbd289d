package l7

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/accesslog"
	"lbctl/internal/lb"
)

// targets are those of the JSON lines in a file.
func targets(t *testing.T, path string) (targets []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var v struct{ Target, Service, Backend, End string }
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Service != "web" || v.Backend != "s1" || v.End != "complete" {
			t.Fatalf("%q: %v", line, err)
		}
		targets = append(targets, v.Target)
	}
	return targets
}

func TestRequestsAreLoggedAlsoWhenTheFileIsMovedAway(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	l.proxy.logFolder = filepath.Join(t.TempDir(), "log")
	s.HTTP.AccessLog = lb.AccessLog{Path: "web.log", Format: lb.LogJSON}
	l.apply()
	l.get(s)
	eventually(t, time.Second, func() error { // the client may have its answer before that is written down
		if n := l.proxy.stats().Services[0].HTTP.Status[200]; n != 1 {
			return fmt.Errorf("%d answers are counted", n)
		}
		return nil
	})
	path := filepath.Join(l.proxy.logFolder, "web.log")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.engine.reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.get(s)
	s.HTTP.AccessLog = lb.AccessLog{}
	l.apply() // ends the log, and writes what is in it
	l.get(s)
	eventually(t, 2*time.Second, func() error {
		if old, now := targets(t, path+".1"), targets(t, path); len(old) != 1 || len(now) != 1 {
			return fmt.Errorf("%q in the old file and %q in the new one", old, now)
		}
		return nil
	})
	eventually(t, time.Second, func() error { // the client may have its answer before that is counted
		st := l.proxy.stats().Services[0]
		for _, h := range []*lb.HTTPStats{st.HTTP, st.Backends[0].HTTP} {
			if h.Status[200] != 3 || h.Class(2) != 3 || h.Whole.Count != 3 || h.FirstByte.Quantile(0.5) <= 0 || h.FirstByte.Quantile(0.5) > h.Whole.Quantile(1)*11/10 {
				return fmt.Errorf("%+v", h)
			}
		}
		return nil
	})
}

func TestALogThatCannotBeRefusesTheSnapshot(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	for path, want := range map[string]string{
		"/nowhere/log": "service web: open log /nowhere/log: no such file or directory",
		"a/b":          `service web: access log: path "a/b": want an absolute one, or a name in the log folder`,
	} {
		s.HTTP.AccessLog.Path = path
		if err := l.proxy.apply(l.next()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestALogThatTakesNothingHoldsUpNoRequest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	s.HTTP.AccessLog = lb.AccessLog{Path: path}
	l.apply()
	// Each leaves a line of 2 KiB: the FIFO holds 64 KiB, and the proxy 1 MiB.
	agent := strings.Repeat("x", 2000)
	for range 1200 {
		req, _ := http.NewRequest(http.MethodGet, "http://"+s.VIP.Addr.String()+"/", nil)
		req.Header.Set("User-Agent", agent)
		resp, err := l.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	eventually(t, time.Second, func() error {
		if h := l.proxy.stats().Services[0].HTTP; h.Status[200] != 1200 || h.Unlogged == 0 {
			return fmt.Errorf("%d answers, %d lines dropped", h.Status[200], h.Unlogged)
		}
		return nil
	})
}

func TestCountsAreExactWhenWorkersAreKilled(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	s.HTTP.AccessLog = lb.AccessLog{Path: "web.log"}
	o := planeOptions(t)
	p := openPlane(t, o)
	defer endProxy(t, p)
	l.applyTo(p)
	var answered uint64
	for range 4 {
		for range 20 {
			if resp, err := l.client.Get("http://" + s.VIP.Addr.String()); err == nil {
				resp.Body.Close()
				answered++
			}
		}
		eventually(t, time.Second, func() error { // the client may have its answer before that is counted
			if st, err := p.Stats(); err != nil || st.Services[0].HTTP.Whole.Count < answered || st.Services[0].Backends[0].HTTP.Whole.Count < answered {
				return fmt.Errorf("%+v, %v, want %d answers", st.Services, err, answered)
			}
			return nil
		})
		workers := childrenOf(t, p.PID())
		_ = syscall.Kill(workers[0], syscall.SIGKILL)
		l.client.CloseIdleConnections()
		eventually(t, 5*time.Second, func() error {
			if now := childrenOf(t, p.PID()); len(now) < len(workers) {
				return errors.New("the worker was not replaced")
			}
			return nil
		})
	}
	st, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []*lb.HTTPStats{st.Services[0].HTTP, st.Services[0].Backends[0].HTTP} {
		if h.Status[200] < answered || h.Whole.Count < answered || h.Status[200] > answered+4 {
			t.Errorf("%d answers are counted, and %d times; the client had %d", h.Status[200], h.Whole.Count, answered)
		}
	}
	path := filepath.Join(filepath.Dir(o.Socket), "log", "web.log")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := p.client.call(t.Context(), http.MethodPost, pathReopen, nil, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, func() error { // one that is starting opens it a little later
		_, err := os.Stat(path)
		return err
	})
}

func TestWhatWorkersSayGoesToTheNewFileWhenTheOldOneIsMovedAway(t *testing.T) {
	l := newLab(t)
	l.backend(nil).kill()
	s := l.service("web", lb.RoundRobin)
	o := planeOptions(t)
	o.Shape = Shape{Model: Threads, Start: 2, MinSpare: 1, MaxSpare: 100}
	p := openPlane(t, o)
	defer endProxy(t, p)
	l.applyTo(p)
	l.get(s)
	says := func(path string) {
		t.Helper()
		eventually(t, 5*time.Second, func() error {
			if data, err := os.ReadFile(path); err != nil || !bytes.Contains(data, []byte("connect_failed")) {
				return fmt.Errorf("%s: no word of the backend in %q, %v", path, data, err)
			}
			return nil
		})
	}
	says(o.LogFile)
	if err := os.Rename(o.LogFile, o.LogFile+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.PID(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	speaksTo := func(pid int) error {
		for _, fd := range []int{1, 2} {
			if path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); path != o.LogFile {
				return fmt.Errorf("descriptor %d of process %d is %s, %v", fd, pid, path, err)
			}
		}
		return nil
	}
	eventually(t, 5*time.Second, func() error {
		for _, pid := range append(childrenOf(t, p.PID()), p.PID()) {
			if err := speaksTo(pid); err != nil {
				return err
			}
		}
		return nil
	})
	l.client.CloseIdleConnections()
	l.get(s)
	says(o.LogFile)
	workers := childrenOf(t, p.PID())
	_ = syscall.Kill(workers[0], syscall.SIGKILL)
	eventually(t, 5*time.Second, func() error {
		for _, pid := range childrenOf(t, p.PID()) {
			if !slices.Contains(workers, pid) {
				return speaksTo(pid)
			}
		}
		return errors.New("the worker was not replaced")
	})
}

func childrenOf(t *testing.T, pid int) (children []int) {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		data, _ := os.ReadFile(file)
		for _, text := range strings.Fields(string(data)) {
			var child int
			_, _ = fmt.Sscan(text, &child)
			children = append(children, child)
		}
	}
	if len(children) == 0 {
		t.Fatal("the proxy has no workers")
	}
	return children
}

// slowWriter takes down what it is given, when it is let.
type slowWriter struct {
	gate chan struct{}
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.gate
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func TestComplaintsAreLimitedAndHoldUpNobody(t *testing.T) {
	w := &slowWriter{gate: make(chan struct{})}
	c := newComplaints(slog.New(slog.NewTextHandler(w, nil)))
	for range 1000 { // of which the log takes none meanwhile
		c.Complain(accesslog.BackendBroke, "web", "s1", "it broke")
		c.Complain(accesslog.BadRequest, "web", "", "at debug level")
	}
	close(w.gate)
	c.close(t.Context())
	text := w.text.String()
	if n := strings.Count(text, "backend_broke"); n < complaintsPerSecond || n > 2*complaintsPerSecond || strings.Contains(text, "bad_request") {
		t.Errorf("%d complaints were written: %s", n, text)
	}
	l := &limit{}
	for i := range 25 {
		if _, ok := l.take(time.Unix(1, 0)); ok != (i < complaintsPerSecond) {
			t.Errorf("complaint %d: %v", i, ok)
		}
	}
	if suppressed, ok := l.take(time.Unix(2, 0)); !ok || suppressed != 25-complaintsPerSecond {
		t.Errorf("%d were suppressed", suppressed)
	}
}
