package e2e

import (
	wire "encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lbctl/ctl"
)

const replaced = `
name: replaced
servers: 3
services:
  web: {plane: l4}
  echo: {plane: l4, proto: udp, port: 7, check: none}
`

// Under load the daemon is killed, the binary is replaced by one with another
// XDP program, and that is started: each datagram comes back, no segment is
// sent twice, counters go on, and status is whole.
func TestABinaryReplacedUnderLoadLosesNoPacket(t *testing.T) {
	w := newWorkshop(t)
	w.binary = filepath.Join(w.dir, "lbctl")
	copyFile(t, w.binary, binary, 0o755)
	file := w.scenario("replaced.yaml", replaced)
	w.lbctl("up", file)
	l := w.open("replaced")
	tag := l.programTag(t)

	resent := l.retransmissions(t)
	stream := l.startStream(t)
	web := l.dial(t, "web")
	home := web.ask(t, "before")
	before := l.status(t)
	counted := l.service(t, "echo").Counters.PacketsIn
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the daemon is dead", func() bool {
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", before.PID))
		return err != nil
	})
	web.ask(t, "without a daemon")
	next := filepath.Join(w.dir, "next")
	buildOtherProgram(t, next)
	if err := os.Rename(next, w.binary); err != nil {
		t.Fatal(err)
	}
	w.lbctl("up", file)
	if now := l.programTag(t); now == tag {
		t.Errorf("the program is still %s", tag)
	}
	if now := web.ask(t, "with the new program"); now != home {
		t.Errorf("the flow moved from %s to %s", home, now)
	}
	after := l.status(t)
	if after.PID == before.PID || len(after.Services) != 2 || !whole(after) {
		t.Errorf("status is not whole: %+v", after)
	}
	sent, lost := stream.stop()
	if lost > 0 || sent < 2000 {
		t.Errorf("%d datagrams sent, %d did not come back", sent, lost)
	}
	if n := l.retransmissions(t) - resent; n > 0 {
		t.Errorf("%d segments were sent twice", n)
	}
	if now := l.service(t, "echo").Counters.PacketsIn; now < counted || now < uint64(sent) {
		t.Errorf("counters did not go on: %d packets before the kill, %d after, %d sent", counted, now, sent)
	}
	t.Logf("%d datagrams came back, none lost", sent)
}

// whole reports whether everything that was asked for is in force.
func whole(st ctl.Status) bool {
	for _, svc := range st.Services {
		for _, b := range svc.Backends {
			if !b.Eligible() {
				return false
			}
		}
	}
	for _, p := range st.Planes {
		if p.Applied != st.Revision {
			return false
		}
	}
	return true
}

// buildOtherProgram builds lbctl with an XDP program that is not quite the same:
// it takes sources from 224.0.0.0 to 224.255.255.255 for sound.
func buildOtherProgram(t *testing.T, path string) {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = top
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	run("cp", "-r", "bpf", dir)
	header := filepath.Join(dir, "bpf", "parse.h")
	text, err := os.ReadFile(header)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "first >= 224", "first >= 225", 1)
	if changed == string(text) {
		t.Fatal("parse.h has no line to change any more")
	}
	if err := os.WriteFile(header, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	object := filepath.Join(dir, "other.o")
	run("clang-19", "-target", "bpfel", "-O2", "-g", "-mcpu=v3", "-Wno-c23-extensions", "-I/usr/include/x86_64-linux-gnu",
		"-c", filepath.Join(dir, "bpf", "balancer.bpf.c"), "-o", object)
	run("llvm-strip-19", "-g", object)
	overlay := filepath.Join(dir, "overlay.json")
	mapping, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(top, "l4", "xdp_bpfel.o"): object}})
	if err == nil {
		err = os.WriteFile(overlay, mapping, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	run("go", "build", "-trimpath", "-overlay", overlay, "-o", path, "./cmd/lbctl")
}

// programTag names the balancer's program by its instructions.
func (l *openLab) programTag(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("bpftool", "-j", "prog", "show", "pinned", l.Path("bpf/lb1/balance_tcx")).Output()
	var program struct{ Tag string }
	if err == nil {
		err = json.Unmarshal(out, &program)
	}
	if err != nil || program.Tag == "" {
		t.Fatalf("bpftool prog show: %v\n%s", err, out)
	}
	return program.Tag
}

// retransmissions is how many TCP segments the client has sent twice.
func (l *openLab) retransmissions(t *testing.T) (n int) {
	t.Helper()
	node, err := l.Node("c1")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	err = node.Do(func() error {
		data, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		var names []string
		for line := range strings.Lines(string(data)) {
			fields := strings.Fields(line)
			if fields[0] != "Tcp:" {
				continue
			}
			if names == nil {
				names = fields
				continue
			}
			for i, name := range names {
				if name == "RetransSegs" {
					_, err = fmt.Sscan(fields[i], &n)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// stream is numbered datagrams at a steady rate, and who came back.
type stream struct {
	conn net.Conn
	quit atomic.Bool
	sent chan int
	back chan map[uint64]bool
}

func (l *openLab) startStream(t *testing.T) *stream {
	t.Helper()
	node, err := l.Node("c1")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	conn, err := node.DialContext(t.Context(), "udp", l.service(t, "echo").VIP.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{conn: conn, sent: make(chan int, 1), back: make(chan map[uint64]bool, 1)}
	go func() {
		n := 0
		for ; !s.quit.Load(); n++ {
			_, _ = conn.Write(wire.BigEndian.AppendUint64(nil, uint64(n)))
			time.Sleep(time.Millisecond)
		}
		s.sent <- n
	}()
	go func() {
		back := map[uint64]bool{}
		for data := make([]byte, 8); ; {
			if n, err := conn.Read(data); err == nil && n == 8 {
				back[wire.BigEndian.Uint64(data)] = true
			} else if err != nil {
				s.back <- back
				return
			}
		}
	}()
	return s
}

// stop ends the stream and returns how many were sent and how many of them are missing.
func (s *stream) stop() (sent, lost int) {
	s.quit.Store(true)
	sent = <-s.sent
	_ = s.conn.SetReadDeadline(time.Now().Add(time.Second)) // the last ones are under way
	back := <-s.back
	s.conn.Close()
	return sent, sent - len(back)
}
