package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

const aloneL7File = `l7: {model: event, threads: 8, start: 1, min_spare: 4, max_spare: 32, processes: 4}
services:
  web:
    vip: 0.0.0.0:80
    policy: rr
    check: {interval: 200ms}
    backends: [{address: 10.9.0.11, name: s1}, {address: 10.9.0.12, name: s2}]
`

// browser is an HTTP client on the client's machine.
func (a *alone) browser() *http.Client {
	t := &http.Transport{DialContext: a.client.DialContext}
	a.Cleanup(t.CloseIdleConnections)
	return &http.Client{Timeout: 5 * time.Second, Transport: t}
}

// get returns which server answered.
func get(c *http.Client, path string) (server string, err error) {
	resp, err := c.Get("http://" + siteVIP.String() + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	return resp.Header.Get("X-Server"), nil
}

// shares returns how many of n requests each server has answered.
func (a *alone) shares(c *http.Client, n int) map[string]int {
	a.Helper()
	got := map[string]int{}
	for range n {
		server, err := get(c, "/")
		a.must(err)
		got[server]++
	}
	return got
}

// master is the proxy's master process, and its model.
func (a *alone) master() (pid int, model lb.Model) {
	a.Helper()
	var boards []ctl.PlaneWorkers
	a.w.json(&boards, "l7", "scoreboard")
	if len(boards) != 1 || boards[0].Error != "" || len(boards[0].Processes) == 0 {
		a.Fatalf("scoreboard: %+v", boards)
	}
	return boards[0].Master, boards[0].Shape.Model
}

// always asks until it is stopped, and counts what fails.
func (a *alone) always() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var asking sync.WaitGroup
	asking.Go(func() {
		c := a.browser()
		for n := 0; ctx.Err() == nil; n++ {
			if _, err := get(c, "/"); err != nil {
				a.Errorf("request %d: %v", n, err)
				return
			}
			if n%10 == 0 {
				c.CloseIdleConnections()
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	return func() { cancel(); asking.Wait() }
}

func TestAStandaloneProxyForwardsIsKilledAndAdopted(t *testing.T) {
	a := newAloneOf(t, "l7", aloneL7File)
	a.start()
	if told := a.awaitTold("READY=1"); !strings.Contains(told, ": services 1, backends ") {
		t.Errorf("told %q", told)
	}
	a.awaitTold("WATCHDOG=1")
	a.await()
	browser := a.browser()
	if got := a.shares(browser, 4); got["alone1"] != 2 || got["alone2"] != 2 {
		t.Errorf("%v, want two requests to each server", got)
	}
	if out := a.w.lbctl("status"); !strings.Contains(out, "plane l7: model event, at most 4 processes of 8 threads") {
		t.Errorf("status:\n%s", out)
	}
	pid, _ := a.master()
	stop := a.always()
	if err := a.end(syscall.SIGKILL); err == nil {
		t.Error("it ended well after SIGKILL")
	}
	if got := a.shares(browser, 20); got["alone1"] == 0 || got["alone2"] == 0 {
		t.Errorf("without a daemon: %v", got)
	}
	if _, errOut, code := a.w.try("status"); code == 0 || !strings.Contains(errOut, "'lbctl l7 run --config FILE' starts it again") {
		t.Errorf("status with a dead daemon: exit %d, %q", code, errOut)
	}

	a.start()
	a.awaitTold("READY=1")
	if now, _ := a.master(); now != pid {
		t.Errorf("the next daemon has proxy %d, want that it adopts %d", now, pid)
	}
	if svc, _ := a.status().Service("web"); svc.Counters.Requests < 8 {
		t.Errorf("counters did not go on: %+v", svc.Counters)
	}
	a.await()
	a.w.lbctl("drain", "web/s1", "--deadline", "20s")
	if got := a.shares(browser, 4); got["alone2"] != 4 {
		t.Errorf("with s1 drained: %v", got)
	}
	a.w.lbctl("enable", "web/s1")
	for _, order := range []struct{ verb, want string }{
		{"reload", "generation 2 serves, generation 1 finishes"}, {"upgrade", fmt.Sprintf("master %d finishes", pid)}, {"reopen", "open its log files anew"},
	} {
		if out := a.w.lbctl("l7", order.verb); !strings.Contains(out, order.want) {
			t.Errorf("l7 %s: %s, want %q", order.verb, out, order.want)
		}
	}
	if now, _ := a.master(); now == pid {
		t.Error("after l7 upgrade the master is the same")
	}

	if err := a.end(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	a.write(strings.Replace(aloneL7File, "l7: {model: event, threads: 8, start: 1, min_spare: 4, max_spare: 32, processes: 4}", "l7: loop", 1))
	a.start()
	a.awaitTold("READY=1")
	if _, model := a.master(); model != lb.ModelLoop {
		t.Errorf("with another model in the file it runs as %s", model)
	}
	stop()
	if err := a.end(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	a.flush()
	a.gone()
	a.cmd = nil
}

// gone fails the test if anything is left of the balancer.
func (a *alone) gone() {
	a.Helper()
	if _, err := get(a.browser(), "/"); err == nil {
		a.Error("it forwards after flush")
	}
	left, err := filepath.Glob(filepath.Join(a.folder(), "*"))
	a.must(err)
	if len(left) != 1 || filepath.Base(left[0]) != "daemon.lock" {
		a.Errorf("files after flush: %v", left)
	}
	eventually(a.T, 5*time.Second, "its processes are gone", func() bool {
		lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
		a.must(err)
		for _, line := range lines {
			if data, err := os.ReadFile(line); err == nil && strings.Contains(string(data), a.folder()) {
				return false
			}
		}
		return true
	})
}

func TestAReloadOfAStandaloneProxyChangesAllOrNothing(t *testing.T) {
	a := newAloneOf(t, "l7", aloneL7File)
	a.start("--flush-on-exit")
	a.awaitTold("READY=1")
	a.await()
	browser := a.browser()
	if told := a.reload(strings.Replace(aloneL7File, "name: s1", "name: s1, weight: 0", 1)); strings.Contains(told, "refused") {
		t.Errorf("told %q", told)
	}
	a.await()
	if got := a.shares(browser, 4); got["alone2"] != 4 {
		t.Errorf("with weight 0 for s1: %v", got)
	}
	revision := a.status().Revision
	for _, c := range []struct{ text, want string }{
		{strings.Replace(aloneL7File, "policy", "polcy", 1), `edge.yaml:5:5: unknown key "polcy" in services.web; did you mean "policy"?`},
		{strings.Replace(aloneL7File, "event", "worker", 1), "edge.yaml:1:5: l7: this takes a restart, which forwarding does not notice"},
		{strings.Replace(aloneL7File, "max_spare: 32", "max_spare: 5", 1), "edge.yaml:1:67: l7: max_spare 5: want at least min_spare and the threads of a process, 12"},
	} {
		if told := a.reload(c.text); !strings.Contains(told, "reload refused: "+c.want) {
			t.Errorf("told %q, want %q", told, c.want)
		}
	}
	if now := a.status().Revision; now != revision {
		t.Errorf("revision %d became %d by files that are no good", revision, now)
	}
	if got := a.shares(browser, 4); got["alone2"] != 4 {
		t.Errorf("after files that are no good: %v", got)
	}
	if out, errOut, code := a.w.try("l7", "flush", "--config", "edge.yaml"); code == 0 {
		t.Errorf("flush beside a daemon: exit %d, %s%s", code, out, errOut)
	}
	a.write(aloneL7File)
	if err := a.end(syscall.SIGINT); err != nil {
		t.Errorf("after SIGINT: %v", err)
	}
	a.awaitTold("STOPPING=1\nSTATUS=ends, and forwarding with it")
	a.gone()
}
