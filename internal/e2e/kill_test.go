package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"
)

const killed = `
name: killed
servers: 3
services:
  web-l4: {plane: l4}
  web-l7: {plane: l7}
`

const killedPair = `
name: killed
balancers: 2
servers: 2
services:
  web-l4: {plane: l4, forward: nat}
  web-l7: {plane: l7}
`

func TestUpKilledAtAnyMomentLeavesNothingAfterDown(t *testing.T) {
	t.Run("one balancer", func(t *testing.T) { killUp(t, killed) })
	t.Run("two balancers", func(t *testing.T) { killUp(t, killedPair) })
}

func killUp(t *testing.T, text string) {
	w := newWorkshop(t)
	file := w.scenario("killed.yaml", text)
	before := footprint(t, w.run)

	began := time.Now()
	w.lbctl("up", file)
	whole := time.Since(began)
	w.lbctl("down", "killed")
	mustLeaveNothing(t, before, w.run)

	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("up takes %v; seed %d", whole, seed)
	for range 10 {
		moment := time.Duration(rng.Int64N(int64(whole)))
		cmd := w.command("up", file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(moment)
		cmd.Process.Kill()
		cmd.Wait()
		if out, errOut, code := w.try("down", "killed"); code != 0 {
			t.Errorf("down after up was killed at %v: exit %d\n%s%s", moment, code, out, errOut)
		}
		mustLeaveNothing(t, before, w.run)
		if t.Failed() {
			t.Fatalf("up was killed %v after its start", moment)
		}
	}
	w.lbctl("up", file)
	w.open("killed").dial(t, "web-l4").ask(t, "after the last up")
	w.lbctl("down")
	mustLeaveNothing(t, before, w.run)
}

func TestForwardingOutlivesAKilledDaemonAndUpAdoptsIt(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("killed.yaml", killed)
	before := footprint(t, w.run)
	w.lbctl("up", file)
	l := w.open("killed")
	conns := map[string]*talk{"l4": l.dial(t, "web-l4"), "l7": l.dial(t, "web-l7")}
	home := conns["l4"].ask(t, "before the kill")
	taken := l.service(t, "web-l4").Counters.Connections

	daemon := l.status(t).PID
	if err := syscall.Kill(daemon, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the daemon is dead", func() bool {
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", daemon))
		return err != nil
	})
	if _, errOut, code := w.try("status"); code == 0 || errOut == "" {
		t.Errorf("status with a dead daemon: exit %d, %q", code, errOut)
	}
	for plane, c := range conns {
		c.ask(t, plane+": without a daemon")
	}

	w.lbctl("up", file)
	if now := conns["l4"].ask(t, "l4: with a new daemon"); now != home {
		t.Errorf("the flow moved from %s to %s", home, now)
	}
	conns["l7"].ask(t, "l7: with a new daemon")
	l.dial(t, "web-l4").ask(t, "l4: new connection")
	if now := l.service(t, "web-l4").Counters.Connections; now <= taken {
		t.Errorf("counters did not go on: %d connections before the kill, %d after", taken, now)
	}
	for _, c := range conns {
		c.conn.Close()
	}
	w.lbctl("down", "killed")
	mustLeaveNothing(t, before, w.run)
}

func TestADaemonKilledBeforeDownIsNoObstacle(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("killed.yaml", killed)
	before := footprint(t, w.run)
	w.lbctl("up", file)
	for _, p := range processes() {
		if p.exe == binary {
			syscall.Kill(p.pid, syscall.SIGKILL) // daemon, proxy and servers
		}
	}
	w.lbctl("down", "--all")
	mustLeaveNothing(t, before, w.run)
}
