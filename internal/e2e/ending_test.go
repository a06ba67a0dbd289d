package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// How a command ends: signals, pipes that break, labs that go meanwhile.

const ending = `
name: ending
servers: 1
services:
  web-l4: {plane: l4}
  web-l7: {plane: l7}
compare: {services: [web-l4, web-l7]}
`

// short is a comparison of a few seconds.
var short = []string{"--rounds", "1", "--duration", "300ms", "--warmup", "100ms", "--workload", "keepalive"}

// running is a command under way.
type running struct {
	*exec.Cmd
	t        testing.TB
	out, err said
	ended    chan struct{}
}

// said is what a command has printed so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (w *workshop) start(args ...string) *running {
	w.t.Helper()
	r := &running{Cmd: w.command(args...), t: w.t, ended: make(chan struct{})}
	r.Stdout, r.Stderr = &r.out, &r.err
	if err := r.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		_ = r.Wait()
		close(r.ended)
	}()
	w.t.Cleanup(func() {
		_ = r.Process.Kill()
		<-r.ended
	})
	return r
}

// exit waits for the end and returns the exit code.
func (r *running) exit(limit time.Duration) int {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(limit):
		_ = r.Process.Kill()
		<-r.ended
		r.t.Fatalf("%v does not end within %v\n%s%s", r.Args[1:], limit, &r.out, &r.err)
	}
	return r.ProcessState.ExitCode()
}

// isUp reports whether up has come to its end: a daemon answers and every check has judged.
func (w *workshop) isUp(lab string) bool {
	_, err := os.Stat(filepath.Join(w.run, lab, "scenario.json"))
	return err == nil
}

// comingUp is how long a lab may take to come up: on a busy machine the verifier alone takes seconds.
const comingUp = time.Minute

func TestRunTakesTheLabDownWhateverEndsIt(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("ending.yaml", ending)
	before := footprint(t, w.run)
	for _, end := range []struct {
		name   string
		signal syscall.Signal
	}{{"Ctrl-C", syscall.SIGINT}, {"SIGTERM", syscall.SIGTERM}, {"a terminal that hangs up", syscall.SIGHUP}} {
		r := w.start("run", file, "--results", "")
		eventually(t, comingUp, "the lab is up", func() bool { return w.isUp("ending") })
		// timeout(1) sends its signal twice, to the process and to its group.
		_ = r.Process.Signal(end.signal)
		_ = r.Process.Signal(end.signal)
		if code := r.exit(10 * time.Second); code != 130 {
			t.Errorf("run ended by %s: exit %d\n%s", end.name, code, &r.err)
		}
		mustLeaveNothing(t, before, w.run)
		if t.Failed() {
			t.Fatalf("after %s", end.name)
		}
	}
}

func TestRunTakesTheLabDownWhenNobodyReadsItsReport(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("ending.yaml", ending)
	before := footprint(t, w.run)
	cmd := w.command(append([]string{"run", file, "--results", ""}, short...)...)
	var messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = closedPipe(t), &messages
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 141 {
		t.Errorf("exit %d, want 141 as of SIGPIPE\n%s", code, &messages)
	}
	mustLeaveNothing(t, before, w.run)
}

// closedPipe is a pipe that nobody reads any more.
func closedPipe(t *testing.T) *os.File {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	t.Cleanup(func() { writer.Close() })
	return writer
}

func TestRunPrintsItsReportEvenIfItCannotKeepIt(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("ending.yaml", ending)
	out, errOut, code := w.try(append([]string{"run", file, "--results", "/proc/none"}, short...)...)
	if code != 1 || !strings.Contains(errOut, "/proc/none") || !strings.Contains(out, "web-l7") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
}

func TestTwoRunsOfOneScenarioDoNotMeet(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("ending.yaml", ending)
	args := append([]string{"run", file, "--results", ""}, short...)
	runs := []*running{w.start(args...), w.start(args...)}
	refused := 0
	for _, r := range runs {
		switch code := r.exit(time.Minute); {
		case code == 1 && strings.Contains(r.err.String(), "is up already"):
			refused++
		case code != 0:
			t.Errorf("exit %d\n%s", code, &r.err)
		}
	}
	if refused != 1 {
		t.Errorf("%d of 2 runs were refused, want one", refused)
	}
}

func TestFollowersEndWithTheLab(t *testing.T) {
	w := newWorkshop(t)
	w.lbctl("up", w.scenario("ending.yaml", ending))
	var followers []*running
	for _, args := range [][]string{{"logs", "-f"}, {"top", "-i", "100ms"}, {"events", "-f"}} {
		followers = append(followers, w.start(args...))
	}
	for _, verb := range []string{"logs", "events"} {
		unread := w.command(verb, "-f")
		unread.Stdout = closedPipe(t)
		began := time.Now()
		stuck := time.AfterFunc(5*time.Second, func() { _ = unread.Process.Kill() })
		_ = unread.Run()
		if !stuck.Stop() {
			t.Errorf("%s -f without a reader runs for %v", verb, time.Since(began))
		}
	}
	eventually(t, 5*time.Second, "all have printed something, and so found the lab up", func() bool {
		return !slices.ContainsFunc(followers, func(f *running) bool { return f.out.String() == "" })
	})
	w.lbctl("down")
	for _, f := range followers {
		if code := f.exit(5 * time.Second); code != 0 {
			t.Errorf("%v: exit %d\n%s", f.Args[1:], code, &f.err)
		}
	}
}

func TestAForegroundLabEndsBySignalAndByDown(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("ending.yaml", ending)
	before := footprint(t, w.run)

	r := w.start("up", "--foreground", file)
	eventually(t, comingUp, "the lab is up", func() bool { return w.isUp("ending") })
	_ = r.Process.Signal(syscall.SIGTERM) // perhaps still during up
	r.exit(10 * time.Second)
	mustLeaveNothing(t, before, w.run)

	r = w.start("up", "--foreground", file)
	eventually(t, comingUp, "up is through", func() bool {
		_, _, code := w.try("status")
		return code == 0 && w.isUp("ending")
	})
	w.lbctl("down", "ending")
	if code := r.exit(10 * time.Second); code != 0 {
		t.Errorf("exit %d after a down from elsewhere\n%s", code, &r.err)
	}
	mustLeaveNothing(t, before, w.run)
}

// What can be known to be wrong beforehand must not leave a lab half up.
func TestUpRefusesBeforeItBuilds(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("ending.yaml", ending)
	empty := w.scenario("empty", "\n")
	token := w.scenario("token", "secret\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--api", "127.0.0.1:0"}, 2, "go together"},
		{[]string{"--api", "127.0.0.1:0", "--token-file", "none"}, 1, "read token"},
		{[]string{"--api", "127.0.0.1:0", "--token-file", empty}, 2, "is empty"},
		{[]string{"--api", "127.0.0.1:99999", "--token-file", token}, 2, "99999"},
	} {
		if out, errOut, code := w.try(append([]string{"up", file}, c.args...)...); code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("up %v: exit %d\n%s%s", c.args, code, out, errOut)
		}
	}
	long := *w
	long.run = filepath.Join(w.run, strings.Repeat("x", 100))
	t.Cleanup(func() { long.try("down", "--all") })
	if _, errOut, code := long.try("up", file); code == 0 || !strings.Contains(errOut, "longer than") {
		t.Errorf("up in a long folder: exit %d\n%s", code, errOut)
	}
	for _, run := range []string{w.run, long.run} {
		if left, _ := filepath.Glob(run + "/*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestARelativeRunFolderWillDo(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("ending.yaml", ending)
	w.run = "relative"
	before := footprint(t, w.dir)
	w.lbctl("up", file)
	w.lbctl("status")
	w.lbctl("down")
	mustLeaveNothing(t, before, w.dir)
}

func TestExecEndsAsItsCommandDoes(t *testing.T) {
	w := newWorkshop(t)
	w.lbctl("up", w.scenario("ending.yaml", ending))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"c1", "--", "sh", "-c", "exit 7"}, 7, ""},
		{[]string{"--lab", "ending", "c1", "true"}, 0, ""},
		{[]string{"c1", "--", "no-such-command"}, 127, "no-such-command"},
		{[]string{"c1", "--", "/etc/passwd"}, 126, "/etc/passwd"},
		{[]string{"c9", "--", "true"}, 4, "it has c1, lb1, s1"},
		{[]string{"c1", "--"}, 2, "want NODE"},
		{nil, 2, "want NODE"},
	} {
		if _, errOut, code := w.try(append([]string{"exec"}, c.args...)...); code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("exec %v: exit %d, want %d\n%s", c.args, code, c.code, errOut)
		}
	}
	// The command must be able to tell a broken pipe by the signal, as in any shell.
	if out, _, _ := w.try("exec", "c1", "--", "sh", "-c", "sh -c 'kill -PIPE $$'; echo $?"); strings.TrimSpace(out) != "141" {
		t.Errorf("SIGPIPE in a node's shell: %q, want 141", out)
	}
}
