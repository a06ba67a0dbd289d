package supervise

import (
	"bufio"
	"context"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestQuitIsGraceful(t *testing.T) {
	b := newBench(t, 1, "child")
	b.reload(t, 1, 3)
	b.Quit(deadline(t, 10*time.Second))
	st := b.Status()
	if len(st.Children) != 0 || len(st.Deaths) != 3 || st.Died != 0 {
		t.Errorf("status = %+v", st)
	}
	for _, d := range st.Deaths {
		if d.Reason != "exit status 0" {
			t.Errorf("death = %+v", d)
		}
	}
}

func TestWorkersCanBeStoppedAndStartedAgain(t *testing.T) {
	b := newBench(t, 1, "child", "child")
	b.reload(t, 1, 2)
	b.Drain()
	eventually(t, "no children", func() bool { return len(b.Status().Children) == 0 })
	b.Spawn(3) // whoever finds that there are too few
	if st := b.Status(); st.Wanted != 0 || len(st.Children) != 0 {
		t.Errorf("once stopped, more were started: %+v", st)
	}
	b.reload(t, 2, 2)
	if n := len(b.serving()); n != 2 {
		t.Errorf("%d serve, want 2", n)
	}
}

func TestWhoDoesNotFinishIsEnded(t *testing.T) {
	b := newBench(t, 1, "child deaf", "child")
	b.config.DrainTimeout, b.config.Grace = 200*time.Millisecond, 200*time.Millisecond
	b.reload(t, 1, 1)
	begin := time.Now()
	b.reload(t, 2, 1)
	eventually(t, "the deaf one is dead", func() bool { return len(b.Status().Deaths) == 1 })
	if d := b.Status().Deaths[0]; d.Reason != "signal: killed" || !d.Asked || time.Since(begin) < 400*time.Millisecond {
		t.Errorf("after %s: %+v, want killed after the timeout and the grace", time.Since(begin), d)
	}
}

func TestQuitEndsWithItsContext(t *testing.T) {
	b := newBench(t, 1, "child deaf")
	b.config.Grace = 100 * time.Millisecond
	b.reload(t, 1, 2)
	begin := time.Now()
	b.Quit(deadline(t, 50*time.Millisecond))
	if took := time.Since(begin); took > 2*time.Second || len(b.Status().Children) != 0 {
		t.Errorf("after %s %d are left", took, len(b.Status().Children))
	}
}

func TestAStopOverrulesAReload(t *testing.T) {
	b := newBench(t, 1, "child", "child mute")
	b.reload(t, 1, 1)
	failed := make(chan error, 1)
	go func() { failed <- b.Reload(context.Background(), 2, 1) }()
	eventually(t, "both generations", func() bool { return len(b.Status().Children) == 2 })
	b.Terminate()
	if err := <-failed; !errors.Is(err, ErrOverruled) {
		t.Errorf("reload = %v, want ErrOverruled", err)
	}
	if n := len(b.Status().Children); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// The master is killed with no chance to say anything: its children must not go
// on by themselves, and must free the address.
func TestChildrenOfAKilledMasterEnd(t *testing.T) {
	cmd := self("master")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(strings.TrimSpace(said))
	children := map[int]bool{}
	eventually(t, "both children serve", func() bool {
		_, child, err := ask(addr)
		children[child] = err == nil
		return len(children) == 2
	})
	kill(t, cmd.Process.Pid)
	_ = cmd.Wait()
	for pid := range children {
		eventually(t, "the child is gone", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	}
	eventually(t, "the address is free", func() bool {
		l := NewListeners()
		defer l.Close()
		return l.Open([]netip.AddrPort{addr}, 1) == nil
	})
}
