package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

// alone is a balancer of `lbctl l4 run`, or of `lbctl l7 run`, on a site.
type alone struct {
	*site
	plane   string // l4 or l7
	w       *workshop
	manager *net.UnixConn // the service manager's socket
	cmd     *exec.Cmd
	errOut  *safeBuffer
	ended   chan error
}

const aloneFile = `interfaces: [eth0]
services:
  web:
    vip: 10.9.0.100:80
    policy: rr
    backends: [{address: 10.9.0.11, name: s1}, {address: 10.9.0.12, name: s2, weight: 2}]
  app:
    vip: 10.9.0.100:81
    forward: nat
    policy: rr
    check: {interval: 200ms}
    backends: [10.9.0.11:80, 10.9.0.12:80]
max_flows: 4096
`

func newAlone(t *testing.T, text string) *alone {
	t.Helper()
	return newAloneOf(t, "l4", text)
}

func newAloneOf(t *testing.T, plane, text string) *alone {
	t.Helper()
	a := &alone{plane: plane, w: newWorkshop(t)}
	a.site = newSite(t, 2)
	var err error
	a.manager, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(a.w.dir, "notify"), Net: "unixgram"})
	a.must(err)
	t.Cleanup(func() { a.manager.Close() })
	a.write(text)
	t.Cleanup(func() {
		if a.cmd != nil {
			a.cmd.Process.Kill()
			<-a.ended
		}
		a.flush()
	})
	return a
}

// write makes text the configuration; its pins are the test's own.
func (a *alone) write(text string) {
	a.Helper()
	if a.plane == "l4" {
		text += "pins: " + a.pins() + "\n"
	}
	a.w.scenario("edge.yaml", text)
}

// folder is where the balancer's files are.
func (a *alone) folder() string { return filepath.Join(a.w.run, "_"+a.plane, "edge") }

func (a *alone) pins() string { return filepath.Join(a.w.dir, "bpf", "edge") }

// command runs lbctl on the balancer's machine.
func (a *alone) command(args ...string) *exec.Cmd {
	cmd := a.w.command(args...)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+filepath.Join(a.w.dir, "notify"), "WATCHDOG_USEC=400000")
	return cmd
}

func (a *alone) start(flags ...string) {
	a.Helper()
	a.cmd = a.command(append([]string{a.plane, "run", "--config", "edge.yaml"}, flags...)...)
	a.errOut = &safeBuffer{}
	a.cmd.Stderr = a.errOut
	a.must(a.balancer.Start(a.cmd))
	a.ended = make(chan error, 1)
	cmd, ended := a.cmd, a.ended
	go func() { ended <- cmd.Wait() }()
}

// end signals the daemon and returns how it ended.
func (a *alone) end(s os.Signal) error {
	a.Helper()
	a.must(a.cmd.Process.Signal(s))
	select {
	case err := <-a.ended:
		a.cmd = nil
		return err
	case <-time.After(20 * time.Second):
		a.Fatal("the daemon does not end:\n" + a.errOut.String())
		return nil
	}
}

// refused runs a daemon that must not start and returns what it says.
func (a *alone) refused(args ...string) string {
	a.Helper()
	cmd := a.command(append([]string{a.plane, "run", "--config"}, args...)...)
	var out bytes.Buffer
	cmd.Stderr = &out
	a.must(a.balancer.Start(cmd))
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		a.Errorf("%s run %v: %v, want that it refuses\n%s", a.plane, args, err, out.String())
	}
	return out.String()
}

// awaitTold returns the first message to the service manager that begins so.
func (a *alone) awaitTold(begin string) string {
	a.Helper()
	a.must(a.manager.SetReadDeadline(time.Now().Add(20 * time.Second)))
	buffer := make([]byte, 4096)
	for {
		n, err := a.manager.Read(buffer)
		if err != nil {
			a.Fatalf("%v while waiting to be told %s\n%s", err, begin, a.errOut)
		}
		if strings.HasPrefix(string(buffer[:n]), begin) {
			return string(buffer[:n])
		}
	}
}

// reload writes the configuration anew and returns the message that ends the reload.
func (a *alone) reload(text string) string {
	a.Helper()
	a.write(text)
	a.must(a.cmd.Process.Signal(syscall.SIGHUP))
	if told := a.awaitTold("RELOADING=1"); !strings.Contains(told, "\nMONOTONIC_USEC=") {
		a.Errorf("told %q", told)
	}
	return a.awaitTold("READY=1")
}

// await waits until every check has judged.
func (a *alone) await() {
	a.Helper()
	client := ctl.Dial(filepath.Join(a.folder(), "daemon.sock"))
	defer client.Close()
	if _, err := client.Wait(a.Context(), ctl.WaitRequest{Healthy: true, Timeout: 20 * time.Second}); err != nil {
		a.Fatalf("%v\n%s", err, a.errOut)
	}
}

func (a *alone) status() (st ctl.Status) {
	a.Helper()
	a.w.json(&st, "status")
	return st
}

func (a *alone) connections() uint64 {
	a.Helper()
	svc, _ := a.status().Service("web")
	return svc.Counters.Connections
}

// flow is what the plane remembers of a client's connection.
func (a *alone) flow(client string) (f lb.Flow) {
	a.Helper()
	lines := json.NewDecoder(strings.NewReader(a.w.lbctl("l4", "flows", "-o", "json", "--limit", "0")))
	for lines.More() {
		a.must(lines.Decode(&f))
		if f.Client.String() == client {
			return f
		}
	}
	return lb.Flow{}
}

func (a *alone) flush() {
	a.Helper()
	if out, err := a.command(a.plane, "flush", "--config", "edge.yaml").CombinedOutput(); err != nil && !strings.Contains(string(out), "there is no balancer") {
		a.Errorf("flush: %v\n%s", err, out)
	}
	if a.attached() {
		a.Error("a program is attached after flush")
	}
	if _, err := os.Stat(a.pins()); !errors.Is(err, os.ErrNotExist) {
		a.Errorf("the pin folder after flush: %v", err)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestAStandaloneBalancerForwardsIsKilledAndAdopts(t *testing.T) {
	a := newAlone(t, aloneFile)
	a.start()
	if told := a.awaitTold("READY=1"); !strings.Contains(told, "STATUS=revision 1: services 2, backends 0 of 4 up") {
		t.Errorf("told %q", told)
	}
	a.awaitTold("WATCHDOG=1")
	a.await()
	for _, port := range []uint16{80, 81} {
		if got := a.balance(port, 4); got["alone1"] != 2 || got["alone2"] != 2 {
			t.Errorf("port %d: %v, want two connections to each server", port, got)
		}
	}
	if st := a.status(); st.Lab != "edge" || st.File != filepath.Join(a.w.dir, "edge.yaml") || st.PID != a.cmd.Process.Pid {
		t.Errorf("status of %s, %s, pid %d", st.Lab, st.File, st.PID)
	}
	kept := map[uint16]*talk{80: a.open(80), 81: a.open(81)}
	home := map[uint16]string{}
	for port, c := range kept {
		home[port] = c.ask(t, "before the kill")
	}
	before := a.connections()
	const timeouts = "Timeout (tcp tcpfin udp): 1800 120 31\n"
	a.w.lbctl("l4", "--set", "1800", "0", "31")
	if out := a.w.lbctl("l4", "-L", "--timeout"); out != timeouts {
		t.Errorf("after --set: %s", out)
	}

	if err := a.end(syscall.SIGKILL); err == nil {
		t.Error("it ended well after SIGKILL")
	}
	stay := func(when string) {
		t.Helper()
		for port, c := range kept {
			if now := c.ask(t, when); now != home[port] {
				t.Errorf("%s: the flow to port %d moved from %s to %s", when, port, home[port], now)
			}
			a.open(port).ask(t, when+", a new connection")
		}
	}
	stay("without a daemon")
	if _, errOut, code := a.w.try("status"); code == 0 || !strings.Contains(errOut, "'lbctl l4 run --config FILE' starts it again") {
		t.Errorf("status with a dead daemon: exit %d, %q", code, errOut)
	}

	a.start()
	a.awaitTold("READY=1")
	stay("with a new daemon")
	if out := a.w.lbctl("l4", "-L", "--timeout"); out != timeouts {
		t.Errorf("--set before the kill, and a new daemon says %s", out)
	}
	client := kept[80].conn.LocalAddr().String()
	if f := a.flow(client); f.Service != "web" || f.State != "ESTABLISHED" || f.Expires < 25*time.Minute {
		t.Errorf("the flow of %s, with a timeout of 30 minutes: %+v", client, f)
	}
	if now := a.connections(); now < before+2 {
		t.Errorf("%d connections, %d before the kill and two since: counters did not go on", now, before)
	}
	if err := a.end(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	a.awaitTold("STOPPING=1\nSTATUS=ends; forwarding goes on")
	stay("after SIGTERM")
	a.flush()
	a.cmd = nil
	if c, err := a.dial(80); err == nil {
		c.conn.Close()
		t.Error("it forwards after flush")
	}
}

func TestAReloadChangesAllOrNothing(t *testing.T) {
	a := newAlone(t, aloneFile)
	a.start()
	a.awaitTold("READY=1")
	a.await()
	kept := a.open(80)
	for kept.ask(t, "before") != "alone1" {
		kept = a.open(80)
	}
	none := strings.Replace(aloneFile, "name: s1", "name: s1, weight: 0", 1)
	if told := a.reload(none); !strings.Contains(told, "STATUS=revision ") || strings.Contains(told, "refused") {
		t.Errorf("told %q", told)
	}
	if got := a.balance(80, 4); got["alone2"] != 4 {
		t.Errorf("with weight 0 for s1: %v", got)
	}
	if got := kept.ask(t, "after the reload"); got != "alone1" {
		t.Errorf("the flow moved to %s", got)
	}
	revision := a.status().Revision

	for _, c := range []struct{ text, want string }{
		{strings.Replace(aloneFile, "policy", "polcy", 1), `edge.yaml:5:5: unknown key "polcy" in services.web; did you mean "policy"?`},
		{strings.Replace(aloneFile, "10.9.0.11,", "'10.9.0.11:81',", 1), `edge.yaml:3:3: service web: backend "s1" at 10.9.0.11:81: direct routing keeps the port`},
		{strings.Replace(aloneFile, "4096", "8192", 1), "edge.yaml:13:12: max_flows: this takes a restart"},
		{aloneFile + "timeouts: {tcp: 600h}\n", "edge.yaml:14:17: tcp: want from 1ms to 24h, not 600h"},
		{strings.Replace(aloneFile, "4096", "many", 1) + "services: {}\n", "edge.yaml:13:12: max_flows: want a number of flows"},
	} {
		told := a.reload(c.text)
		if !strings.Contains(told, "reload refused: "+c.want) {
			t.Errorf("told %q, want %q", told, c.want)
		}
		eventually(t, 10*time.Second, "its log shows the place of "+c.want, func() bool {
			_, after, _ := strings.Cut(a.errOut.String(), c.want)
			return strings.Contains(after, "^")
		})
	}
	if now := a.status().Revision; now != revision {
		t.Errorf("revision %d became %d by files that are no good", revision, now)
	}
	if out := a.w.lbctl("events"); !strings.Contains(out, "reload_refused") {
		t.Errorf("events:\n%s", out)
	}
	if got := a.balance(80, 4); got["alone2"] != 4 {
		t.Errorf("after files that are no good: %v", got)
	}
	if told := a.reload(aloneFile + "timeouts: {tcp: 20m}\n"); strings.Contains(told, "refused") {
		t.Errorf("told %q", told)
	}
	if out := a.w.lbctl("l4", "-L", "--timeout"); !strings.Contains(out, ": 1200 120 300\n") {
		t.Errorf("after another file: %s", out)
	}
	a.await()
	if got := a.balance(80, 4); got["alone1"] != 2 {
		t.Errorf("after the first file again: %v", got)
	}
}

func TestVerbsActOnAStandaloneBalancer(t *testing.T) {
	a := newAlone(t, aloneFile+"dir: /tmp/nowhere\n")
	elsewhere := filepath.Join(a.w.dir, "elsewhere")
	a.write(aloneFile + "dir: " + elsewhere + "\napi: 9797\n")
	a.start()
	a.awaitTold("READY=1")
	socket := filepath.Join(elsewhere, "daemon.sock")
	if _, errOut, code := a.w.try("status"); code != 4 || !strings.Contains(errOut, "no lab is up") {
		t.Errorf("without --socket: exit %d, %q", code, errOut)
	}
	eventually(t, 20*time.Second, "backends are up", func() bool {
		var st ctl.Status
		a.w.json(&st, "--socket", socket, "status")
		svc, _ := st.Service("web")
		return svc.Backends[0].Health == lb.Up && svc.Backends[1].Health == lb.Up
	})
	a.w.lbctl("--socket", socket, "drain", "web/s1", "--deadline", "20s")
	if got := a.balance(80, 4); got["alone2"] != 4 {
		t.Errorf("with s1 drained: %v", got)
	}
	a.w.lbctl("enable", "web/s1", "--socket", socket)
	a.w.lbctl("weight", "web/s2", "7", "--socket", socket)
	out := a.w.lbctl("l4", "--socket", socket, "-Ln")
	for _, want := range []string{"TCP  10.9.0.100:80 rr", "-> 10.9.0.12:80                 Route   7", "-> 10.9.0.11:80                 Masq    1"} {
		if !strings.Contains(out, want) {
			t.Errorf("l4 -Ln has no %q:\n%s", want, out)
		}
	}
	a.w.lbctl("ipvsadm", "--socket", socket, "-A", "-t", "10.9.0.100:82", "-s", "rr")
	a.w.lbctl("ipvsadm", "--socket", socket, "-a", "-t", "10.9.0.100:82", "-r", "10.9.0.11:80", "-m")
	if got := a.balance(82, 2); got["alone1"] != 2 {
		t.Errorf("by ipvsadm -m: %v", got)
	}
	if out := a.w.lbctl("--socket", socket, "stats", "-i", "200ms"); !strings.Contains(out, "flow table IPv4 ") || !strings.Contains(out, "NEW_FLOW ") {
		t.Errorf("stats:\n%s", out)
	}
	if _, errOut, code := a.w.try("--socket", socket, "logs"); code != 4 || !strings.Contains(errOut, "where 'l4 run' was started") {
		t.Errorf("logs: exit %d, %q", code, errOut)
	}

	token, err := os.ReadFile(filepath.Join(elsewhere, "token"))
	a.must(err)
	for bearer, want := range map[string]int{string(bytes.TrimSpace(token)): 200, "guess": 401} {
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: a.balancer.DialContext, DisableKeepAlives: true}}
		request, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:9797/v1/status", nil)
		a.must(err)
		request.Header.Set("Authorization", "Bearer "+bearer)
		answer, err := client.Do(request)
		a.must(err)
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("the API over TCP answers %d to %q, want %d", answer.StatusCode, bearer, want)
		}
	}
}

func TestAStandaloneBalancerRefusesWhatCannotBe(t *testing.T) {
	a := newAlone(t, aloneFile)
	a.w.scenario("typo.yaml", strings.Replace(aloneFile, "eth0", "eht0", 1))
	if out := a.refused("typo.yaml"); !strings.Contains(out, `typo.yaml:1:14: interfaces: there is no interface "eht0"; did you mean "eth0"?`) {
		t.Errorf("a mistyped interface: %s", out)
	}
	a.start("--flush-on-exit")
	a.awaitTold("READY=1")
	pid := fmt.Sprint(a.cmd.Process.Pid)
	if out := a.refused("edge.yaml"); !strings.Contains(out, "balancer edge runs already, as process "+pid) {
		t.Errorf("a second daemon: %s", out)
	}
	if out, errOut, code := a.w.try("l4", "flush", "--config", "edge.yaml"); code != 1 || !strings.Contains(errOut, "runs already") {
		t.Errorf("flush beside a daemon: exit %d, %s%s", code, out, errOut)
	}
	a.w.scenario("other.yaml", aloneFile+"pins: "+a.pins()+"\n")
	if out := a.refused("other.yaml"); !strings.Contains(out, "be the only daemon on the pins of balancer other") {
		t.Errorf("a second daemon on the same pins: %s", out)
	}
	if err := a.end(syscall.SIGKILL); err == nil {
		t.Error("it ended well after SIGKILL")
	}
	if out := a.refused("other.yaml"); !strings.Contains(out, "holds a plane whose state is not at") {
		t.Errorf("a daemon on pins of another state: %s", out)
	}
	a.start("--flush-on-exit")
	a.awaitTold("READY=1")
	if err := a.end(syscall.SIGINT); err != nil {
		t.Errorf("after SIGINT: %v", err)
	}
	a.awaitTold("STOPPING=1\nSTATUS=ends, and forwarding with it")
	if a.attached() {
		t.Error("a program is attached after --flush-on-exit")
	}
}
