package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"text/template"
	"time"

	"lbctl/internal/lb"
)

//go:embed conf
var configurations embed.FS

// configured is a command with a configuration that is made from a template.
func configured(name, file string, s site, flags ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	text, err := configurations.ReadFile(file)
	if err != nil {
		return nil, err
	}
	t, err := template.New(file).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, s); err != nil {
		return nil, err
	}
	at := filepath.Join(s.Dir, filepath.Base(file))
	if err := os.WriteFile(at, out.Bytes(), 0o644); err != nil {
		return nil, err
	}
	return exec.Command(path, append(flags, at)...), nil
}

// running is an engine, or the backends, in a cgroup of its own.
type running struct {
	group group
	cmd   *exec.Cmd
	log   *os.File
}

// start starts a command in a new cgroup and waits until it listens.
func start(ctx context.Context, name string, cmd *exec.Cmd, dir string, listens []string) (*running, error) {
	g, err := newGroup(name)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	r := &running{group: g, log: log}
	script := `exec "$@"`
	for _, file := range slices.Backward(g.tasks()) {
		script = "echo $$ > " + file + " && " + script
	}
	r.cmd = exec.Command("/bin/sh", append([]string{"-c", script, "sh", cmd.Path}, cmd.Args[1:]...)...)
	r.cmd.Stdout, r.cmd.Stderr = log, log
	// A group of its own, for Apache sends its own TERM to all of its group.
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	for _, addr := range listens {
		if err := awaitListener(ctx, addr); err != nil {
			r.stop()
			return nil, fmt.Errorf("start %s: %w\n%s", name, err, said(dir))
		}
	}
	return r, nil
}

// said is what a command has written into its folder before it gave up.
func said(dir string) (all []byte) {
	for _, pattern := range []string{"*.log", "*.err"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, f := range files {
			text, _ := os.ReadFile(f)
			all = append(all, text...)
		}
	}
	return all
}

func awaitListener(ctx context.Context, addr string) error {
	network := "tcp"
	if addr[0] == '/' {
		network = "unix"
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial(network, addr)
		if err == nil {
			return c.Close()
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop ends everything in the cgroup, by force after two seconds.
func (r *running) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	for i := 0; len(r.group.pids()) > 0 && i < 500; i++ {
		if i > 100 {
			for _, pid := range r.group.pids() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		time.Sleep(20 * time.Millisecond)
		if i == 0 {
			go func() { _ = r.cmd.Wait() }()
		}
	}
	r.group.remove()
	r.log.Close()
}

// applySnapshot gives our proxy its service.
func applySnapshot(s site) error {
	v := lb.Service{Name: "web", Plane: lb.L7, Policy: lb.RoundRobin, VIP: lb.VIP{Addr: netip.MustParseAddrPort(s.Front), Proto: lb.TCP}}
	v.HTTP.ClientIdleTimeout = 10 * time.Minute
	for i, b := range s.Backends {
		v.Backends = append(v.Backends, lb.Backend{ID: lb.BackendID(i + 1), Name: fmt.Sprint("s", i+1), Addr: netip.MustParseAddrPort(b), Weight: 1, Health: lb.Up})
	}
	body, err := json.Marshal(lb.Snapshot{Revision: 1, Services: []lb.Service{v}})
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.Dir+"/l7.sock")
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodPut, "http://l7/v1/snapshot", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("apply snapshot: %s", resp.Status)
	}
	return nil
}
