package e2e

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/netns"
)

// The box of docker-compose.yml, with an engine of the test's own: its own data,
// its own socket, and a network namespace of its own, so that its bridge and
// its packet filter rules go with it.
func TestComposeBringsTheLabUpInAContainer(t *testing.T) {
	before := footprint(t, "/run/lbctl")
	e := startEngine(t)
	dir := composeFolder(t)
	up := e.compose(dir, "up", "--build", "-d")
	if out, err := up.CombinedOutput(); err != nil {
		t.Fatalf("docker-compose up: %v\n%s", err, out)
	}
	downed := false
	down := func() {
		if out, err := e.compose(dir, "down", "-t", "30").CombinedOutput(); err != nil && !downed {
			t.Errorf("docker-compose down: %v\n%s", err, out)
		}
		downed = true
	}
	defer down()

	logs := func() string {
		out, _ := e.compose(dir, "logs", "--no-color").CombinedOutput()
		return string(out)
	}
	eventually(t, 90*time.Second, "the lab is up in the container", func() bool {
		text := logs()
		if strings.Contains(text, "exited with code") {
			t.Fatalf("the container ended:\n%s", text)
		}
		return strings.Contains(text, "staying in the foreground")
	})

	out, err := e.compose(dir, "exec", "-T", "lab", "lbctl", "compare", "--rounds", "1", "--duration", "500ms", "--warmup", "200ms", "--results", "/run/results").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("web-l7")) {
		t.Fatalf("lbctl compare in the container: %v\n%s\n%s", err, out, logs())
	}
	t.Logf("\n%s", out)
	e.askAPI(t)

	down()
	if text := e.containers(t); text != "" {
		t.Errorf("containers after down: %s", text)
	}
	e.stop()
	mustLeaveNothing(t, before, "/run/lbctl")
}

const apiToken = "a-token-for-the-test"

// composeFolder is a checkout's folder as far as docker-compose looks at it.
func composeFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	copyFile(t, filepath.Join(dir, "build", "lbctl"), binary, 0o755)
	for _, f := range []string{"docker-compose.yml", "Dockerfile", ".dockerignore"} {
		copyFile(t, filepath.Join(dir, f), filepath.Join("../..", f), 0o644)
	}
	files, _ := filepath.Glob("../../scenarios/*.yaml")
	for _, f := range files {
		copyFile(t, filepath.Join(dir, "scenarios", filepath.Base(f)), f, 0o644)
	}
	if err := os.WriteFile(filepath.Join(dir, "build", "token"), []byte(apiToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyFile(t *testing.T, to, from string, mode os.FileMode) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, data, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// engine is a dockerd of the test's own.
type engine struct {
	dir  string
	node *netns.Handle
	cmd  *exec.Cmd
	done chan struct{}
}

func startEngine(t *testing.T) *engine {
	t.Helper()
	node, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(base, "docker-")
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{dir: dir, node: node, done: make(chan struct{})}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	e.cmd = exec.Command("dockerd", "--data-root", dir+"/root", "--exec-root", dir+"/exec", "--pidfile", dir+"/pid",
		"--host", "unix://"+dir+"/docker.sock")
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := node.Do(func() error { return exec.Command("ip", "link", "set", "lo", "up").Run() }); err != nil {
		t.Fatal(err)
	}
	if err := node.Start(e.cmd); err != nil {
		t.Fatal(err)
	}
	go func() { e.cmd.Wait(); close(e.done) }()
	t.Cleanup(e.stop)
	eventually(t, 30*time.Second, "dockerd answers; its log is "+log.Name(), func() bool {
		return e.docker("info").Run() == nil
	})
	return e
}

// stop ends the engine and removes all it had.
func (e *engine) stop() {
	select {
	case <-e.done:
	default:
		e.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-e.done:
		case <-time.After(30 * time.Second):
			syscall.Kill(-e.cmd.Process.Pid, syscall.SIGKILL)
			<-e.done
		}
	}
	unmountBelow(e.dir)
	os.RemoveAll(e.dir)
	e.node.Close()
}

func unmountBelow(dir string) {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for _, m := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(m); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			syscall.Unmount(f[4], syscall.MNT_DETACH)
		}
	}
}

func (e *engine) environ() []string {
	return append(os.Environ(), "DOCKER_HOST=unix://"+e.dir+"/docker.sock", "DOCKER_CONFIG="+e.dir+"/config",
		"COMPOSE_PROJECT_NAME=lbctltest", "COMPOSE_HTTP_TIMEOUT=120", "DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0")
}

func (e *engine) docker(args ...string) *exec.Cmd {
	cmd := exec.Command("/usr/bin/docker", args...)
	cmd.Env = e.environ()
	return cmd
}

func (e *engine) compose(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("docker-compose", args...)
	cmd.Dir, cmd.Env = dir, e.environ()
	return cmd
}

func (e *engine) containers(t *testing.T) string {
	t.Helper()
	out, err := e.docker("ps", "-aq").CombinedOutput()
	if err != nil {
		t.Fatalf("docker ps: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// askAPI reads the published API from the engine's namespace: the token opens
// it, and nothing else does.
func (e *engine) askAPI(t *testing.T) {
	t.Helper()
	for token, want := range map[string]int{apiToken: 200, "wrong": 401, "": 401} {
		status, body := e.get(t, token)
		if status != want {
			t.Errorf("API with token %q: status %d, want %d\n%s", token, status, want, body)
		}
	}
}

func (e *engine) get(t *testing.T, token string) (int, string) {
	t.Helper()
	var conn net.Conn
	err := e.node.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp", "127.0.0.1:8080", 5*time.Second)
		return err
	})
	if err != nil {
		t.Fatalf("dial the published API: %v", err)
	}
	defer conn.Close()
	req, _ := http.NewRequest(http.MethodGet, "http://127.0.0.1:8080/v1/status", nil)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Close = true
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("ask the published API: %v", err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	return resp.StatusCode, string(body)
}
