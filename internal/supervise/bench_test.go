package supervise

import (
	"errors"
	"net/netip"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// accounts note who was told of.
type accounts struct {
	mu   sync.Mutex
	live map[int]bool
	errs []string
}

func (a *accounts) Admit(slot int, _ uint64) { a.turn(slot, true) }
func (a *accounts) Reclaim(slot int)         { a.turn(slot, false) }
func (a *accounts) turn(slot int, alive bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.live == nil {
		a.live = map[int]bool{}
	}
	if a.live[slot] == alive {
		a.errs = append(a.errs, "slot "+strconv.Itoa(slot)+" was told twice that it lives: "+strconv.FormatBool(alive))
	}
	a.live[slot] = alive
}

func (a *accounts) alive() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, alive := range a.live {
		if alive {
			n++
		}
	}
	return n
}

// bench is a supervisor under test.
type bench struct {
	*Supervisor
	addr      netip.AddrPort
	listeners *Listeners
	accounts  *accounts
}

// newBench has children that do what how says, generation 1 first. Afterwards it
// sees to it that nothing is left of them.
func newBench(t *testing.T, how ...string) *bench {
	t.Helper()
	open := openFiles(t)
	l := NewListeners()
	if err := l.Open([]netip.AddrPort{loopback}); err != nil {
		t.Fatal(err)
	}
	b := &bench{addr: l.Sockets()[0].Addr, listeners: l, accounts: &accounts{}}
	config := configOf(l, b.accounts, func(p Place) string { return how[p.Generation-1] })
	command := config.Command
	config.Command = func(p Place) (*exec.Cmd, error) {
		cmd, err := command(p)
		if err == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		}
		return cmd, err
	}
	b.Supervisor = New(config)
	t.Cleanup(func() {
		b.Terminate()
		l.Close()
		if n := b.accounts.alive(); n != 0 || len(b.accounts.errs) != 0 {
			t.Errorf("%d accounts are not settled; %q", n, b.accounts.errs)
		}
		eventually(t, "no file is left open", func() bool { return openFiles(t) <= open })
		if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
			t.Errorf("a child is left: %d, %v", pid, err)
		}
	})
	return b
}

func (b *bench) reload(t *testing.T, generation uint64, n int) {
	t.Helper()
	if err := b.Reload(deadline(t, 10*time.Second), generation, n); err != nil {
		t.Fatal(err)
	}
}

// serving returns the living children that serve, by slot.
func (b *bench) serving() map[int]Child {
	serving := map[int]Child{}
	for _, c := range b.Status().Children {
		if c.State == Serving {
			serving[c.Slot] = c
		}
	}
	return serving
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
