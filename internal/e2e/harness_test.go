package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// All that the tests make on this machine is in or under base: the binary, run
// folders, working folders, an engine's data.
var base, binary string

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Println("e2e tests build network namespaces and load XDP programs: run them as root")
		os.Exit(1)
	}
	os.Exit(runIn(m))
}

func runIn(m *testing.M) int {
	var err error
	if base, err = os.MkdirTemp("", "lbctl-e2e-"); err != nil {
		fmt.Println(err)
		return 1
	}
	binary = filepath.Join(base, "lbctl")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "../../cmd/lbctl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("build lbctl: %v\n%s", err, out)
		return 1
	}
	cleaned, err := cleaner(base)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer cleaned()
	return m.Run()
}

// cleaner starts a process that removes everything under base once this one is
// gone, however it went: its standard input ends then.
func cleaner(base string) (clean func(), err error) {
	cmd := exec.Command("bash", "-c", `
		cat >/dev/null
		for p in /proc/[0-9]*; do # balancers and servers of no lab
			[ "$(readlink "$p/exe")" = "$0/lbctl" ] && tr '\0' ' ' <"$p/cmdline" | grep -qE ' (l[47] run|l7-proxy .*/_l7/|server --name alone)' && kill -9 "${p#/proc/}"
		done
		for run in "$0"/run-*/lbctl; do [ -d "$run" ] && LBCTL_RUN="$run" "$0"/lbctl down --all; done
		for pid in "$0"/docker-*/pid; do [ -f "$pid" ] && kill $(cat "$pid") && sleep 3; done
		awk -v base="$0/" 'index($5, base) == 1 {print $5}' /proc/self/mountinfo | sort -r | xargs -r umount -l
		rm -rf "$0"`, base)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() { pipe.Close(); cmd.Wait() }, nil
}

// workshop is one test's own run folder and working folder. Whatever lab is left
// in it is taken down when the test ends.
type workshop struct {
	t      testing.TB
	run    string // LBCTL_RUN
	dir    string // working folder: scenarios, results
	binary string
}

func newWorkshop(t testing.TB) *workshop {
	t.Helper()
	top, err := os.MkdirTemp(base, "run-")
	if err != nil {
		t.Fatal(err)
	}
	w := &workshop{t: t, run: filepath.Join(top, "lbctl"), dir: filepath.Join(top, "work"), binary: binary}
	if err := os.Mkdir(w.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := w.command("down", "--all").CombinedOutput(); err != nil {
			t.Errorf("down --all after the test: %v\n%s", err, out)
		}
		os.RemoveAll(top)
	})
	return w
}

func (w *workshop) command(args ...string) *exec.Cmd {
	cmd := exec.Command(w.binary, args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "LBCTL_RUN="+w.run, "NO_COLOR=1")
	return cmd
}

// lbctl runs a command that must succeed and returns what it printed.
func (w *workshop) lbctl(args ...string) string {
	w.t.Helper()
	out, errOut, code := w.try(args...)
	if code != 0 {
		w.t.Fatalf("lbctl %s: exit %d\n%s%s%s", strings.Join(args, " "), code, out, errOut, w.logs())
	}
	return out
}

// try runs a command and returns its output, its messages and its exit code.
func (w *workshop) try(args ...string) (out, errOut string, code int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := w.command(args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("lbctl %s: %v", strings.Join(args, " "), err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// json runs a command with -o json and decodes what it printed into v.
func (w *workshop) json(v any, args ...string) {
	w.t.Helper()
	out := w.lbctl(append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		w.t.Fatalf("lbctl %s -o json: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// scenario writes a file into the working folder and returns its name.
func (w *workshop) scenario(name, text string) string {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return name
}

// logs is the end of every log of every lab, for a failing test's message.
func (w *workshop) logs() string {
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(w.run, "*", "*.log"))
	for _, f := range files {
		data, _ := os.ReadFile(f)
		if len(data) > 4000 {
			data = data[len(data)-4000:]
		}
		fmt.Fprintf(&b, "--- %s\n%s", f, data)
	}
	return b.String()
}

// eventually polls until the condition holds; what it waits for is a fact that
// the lab reports, so the time only bounds a failure.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
