package supervise

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newMaster(how string) *exec.Cmd {
	cmd := self(strings.TrimSpace("master " + how))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func TestUpgradeServesEveryConnection(t *testing.T) {
	b := newBench(t, "child")
	b.reload(t, 1, 2)
	client := dialInALoop(b.addr)
	time.Sleep(20 * time.Millisecond)
	cmd := newMaster("")
	next, err := Upgrade(deadline(t, 10*time.Second), cmd, b.listeners)
	if err != nil {
		t.Fatal(err)
	}
	b.Quit(deadline(t, 10*time.Second), 5*time.Second)
	b.listeners.Close()
	before := time.Now()
	for time.Since(before) < 50*time.Millisecond {
		if master, _, err := ask(b.addr); err != nil || master != cmd.Process.Pid {
			t.Fatalf("master %d answers, %v; want %d", master, err, cmd.Process.Pid)
		}
	}
	client.end(t, 0)
	if client.masters[os.Getpid()] == 0 || client.masters[cmd.Process.Pid] == 0 || len(client.masters) != 2 {
		t.Errorf("answers by master = %v, want both %d and %d", client.masters, os.Getpid(), cmd.Process.Pid)
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-next.Ended()
	if err := next.Died(); err != nil {
		t.Error(err)
	}
	eventually(t, "the address is free", func() bool {
		l := NewListeners()
		defer l.Close()
		return l.Open([]netip.AddrPort{b.addr}) == nil
	})
}

func TestAnUpgradeThatFailsChangesNothing(t *testing.T) {
	b := newBench(t, "child")
	b.reload(t, 1, 2)
	before := b.serving()
	client := dialInALoop(b.addr)
	for how, want := range map[string]string{
		"crash":  "it died: exit status 3",
		"refuse": "no such configuration",
		"late":   context.DeadlineExceeded.Error(),
	} {
		cmd := newMaster(how)
		_, err := Upgrade(deadline(t, 500*time.Millisecond), cmd, b.listeners)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("upgrade to what does %s = %v, want %s", how, err, want)
		}
	}
	missing := exec.Command("/nonexistent/binary")
	if _, err := Upgrade(deadline(t, time.Second), missing, b.listeners); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("upgrade to what is not there = %v", err)
	}
	eventually(t, "the old master alone answers", func() bool {
		for range 20 {
			if master, _, err := ask(b.addr); err != nil || master != os.Getpid() {
				return false
			}
		}
		return true
	})
	client.end(t, 0)
	if now := b.serving(); now[0] != before[0] || now[1] != before[1] {
		t.Errorf("children = %+v, were %+v", now, before)
	}
}
