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
	b := newBench(t, "child")
	b.reload(t, 1, 3)
	b.Quit(deadline(t, 10*time.Second), 5*time.Second)
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
	b := newBench(t, "child", "child")
	b.reload(t, 1, 2)
	b.Drain(5 * time.Second)
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
	b := newBench(t, "child deaf", "child")
	b.config.DrainTimeout, b.config.Grace = 200*time.Millisecond, 200*time.Millisecond
	b.reload(t, 1, 1)
	begin := time.Now()
	b.reload(t, 2, 1)
	eventually(t, "the deaf one is dead", func() bool { return len(b.Status().Deaths) == 1 })
	if d := b.Status().Deaths[0]; d.Reason != "signal: killed" || !d.Asked || time.Since(begin) < 400*time.Millisecond {
		t.Errorf("after %s: %+v, want killed after the timeout and the grace", time.Since(begin), d)
	}
}

func TestAChildEndsByItselfWhenItsTimeIsOver(t *testing.T) {
	b := newBench(t, "child busy", "child")
	b.config.DrainTimeout, b.config.Grace = 100*time.Millisecond, 10*time.Second
	b.reload(t, 1, 1)
	begin := time.Now()
	b.reload(t, 2, 1)
	eventually(t, "the busy one has ended", func() bool { return len(b.Status().Deaths) == 1 })
	if d := b.Status().Deaths[0]; d.Reason != "exit status 0" || time.Since(begin) < 100*time.Millisecond {
		t.Errorf("after %s: %+v, want that it has taken its time and then ended by itself", time.Since(begin), d)
	}
}

// Who ends a child for not doing as it is told means one that serves.
func TestKillLeavesWhoFinishesItsTime(t *testing.T) {
	b := newBench(t, "child busy", "child")
	b.config.DrainTimeout = time.Second
	b.reload(t, 1, 1)
	old := b.Status().Children[0].Place
	b.reload(t, 2, 1)
	if err := b.Kill(old); err != nil {
		t.Error(err)
	}
	eventually(t, "the busy one has ended", func() bool { return len(b.Status().Deaths) == 1 })
	if d := b.Status().Deaths[0]; d.Reason != "exit status 0" {
		t.Errorf("%+v, want that it has ended by itself", d)
	}
}

func TestQuitShortensTheTimeOfWhoFinishesAlready(t *testing.T) {
	b := newBench(t, "child busy", "child busy")
	b.config.DrainTimeout = time.Hour
	b.reload(t, 1, 1)
	b.reload(t, 2, 1)
	b.Drain(2 * time.Hour) // which gives the first no more
	if st := b.Status(); len(st.Children) != 2 || st.Children[0].State != Draining || st.Children[1].State != Draining {
		t.Fatalf("%+v", st.Children)
	}
	begin := time.Now()
	b.Quit(deadline(t, 20*time.Second), 100*time.Millisecond)
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("it took %s", took)
	}
	for _, d := range b.Status().Deaths {
		if d.Reason != "exit status 0" {
			t.Errorf("%+v", d)
		}
	}
}

func TestQuitEndsWithItsContext(t *testing.T) {
	b := newBench(t, "child deaf")
	b.config.Grace = 100 * time.Millisecond
	b.reload(t, 1, 2)
	begin := time.Now()
	b.Quit(deadline(t, 50*time.Millisecond), 5*time.Second)
	if took := time.Since(begin); took > 2*time.Second || len(b.Status().Children) != 0 {
		t.Errorf("after %s %d are left", took, len(b.Status().Children))
	}
}

func TestAStopOverrulesAReload(t *testing.T) {
	b := newBench(t, "child", "child mute")
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
		return l.Open([]netip.AddrPort{addr}) == nil
	})
}
