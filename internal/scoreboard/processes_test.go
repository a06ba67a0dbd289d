package scoreboard

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	roleVariable = "LBCTL_SCOREBOARD_TEST_CHILD" // the child's slot
	childThreads = 3
	childCells   = 4
)

func TestMain(m *testing.M) {
	if slot := os.Getenv(roleVariable); slot != "" {
		runChild(slot)
		return
	}
	os.Exit(m.Run())
}

// runChild begins and ends at random on several threads, until its standard
// input ends; then it stands still with what is left in flight, and says how
// much that is.
func runChild(slot string) {
	board, err := Open(os.NewFile(3, "board"))
	if err != nil {
		panic(err)
	}
	n, _ := strconv.Atoi(slot)
	row := board.Row(n)
	var stop atomic.Bool
	var all sync.WaitGroup
	for range childThreads {
		all.Go(func() {
			var open []Cell
			for !stop.Load() {
				if len(open) < 8 && rand.IntN(2) == 0 {
					c := row.Cell(rand.IntN(childCells))
					c.Begin()
					c.AddRequest()
					c.AddResult(0)
					open = append(open, c)
				} else if len(open) > 0 {
					open[0].End()
					open = open[1:]
				}
			}
		})
	}
	os.Stdout.Write([]byte{1}) // runs
	buf := make([]byte, 1)
	os.Stdin.Read(buf) // "stand still", or the master is gone
	stop.Store(true)
	all.Wait()
	os.Stdout.Write([]byte{2})
	os.Stdin.Read(buf)
}

type process struct {
	*exec.Cmd
	say func(byte)
	// hear waits for the child's next byte.
	hear func()
}

func startChild(t *testing.T, b *Board, slot int) process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+strconv.Itoa(slot), "GOMAXPROCS=2")
	cmd.ExtraFiles = []*os.File{b.File()}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p := process{Cmd: cmd, say: func(c byte) { _, _ = in.Write([]byte{c}) }}
	p.hear = func() {
		t.Helper()
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatalf("child %d: %v", slot, err)
		}
	}
	p.hear()
	return p
}

// Children are killed at any instant, between the two adds of Begin and End
// included. What is left must be what the living have.
func TestAfterKillsTheSharedNumbersAreThoseOfTheLiving(t *testing.T) {
	const children, kills = 3, 20
	b := newBoard(t, Sizes{children, childThreads, childCells})
	l := NewLedger(b)
	keys := []string{"a", "b", "c", "d"}
	retain(t, l, 1, keys...)
	var running [children]process
	for slot := range children {
		l.Admit(slot, 1)
		running[slot] = startChild(t, b, slot)
	}
	var before [childCells]uint64
	for range kills {
		time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
		slot := rand.IntN(children)
		_ = running[slot].Process.Kill()
		_ = running[slot].Wait()
		l.Reclaim(slot)
		l.Reclaim(slot)
		l.Settle()
		for cell := range before {
			now := l.Totals(cell).Requests
			if now < before[cell] {
				t.Errorf("requests of %d went back from %d to %d", cell, before[cell], now)
			}
			before[cell] = now
		}
		l.Admit(slot, 1)
		running[slot] = startChild(t, b, slot)
	}
	_ = running[0].Process.Kill()
	_ = running[0].Wait()
	l.Reclaim(0)
	for _, p := range running[1:] {
		p.say('.')
		p.hear()
	}
	drift := compare(t, b, kills*childThreads)
	for range 2 * settleAfter { // the first few may end readings that were begun before the last kill
		l.Settle()
	}
	compare(t, b, 0)
	for cell := range childCells { // a thread may be killed between the two
		if requests, results := l.Totals(cell).Requests, l.Details(cell).Results[0]; results > requests || requests > results+(kills+1)*childThreads {
			t.Errorf("cell %d has %d requests and %d results", cell, requests, results)
		}
	}
	t.Logf("%d kills left the shared numbers %d too high before Settle, %d requests", kills+1, drift, before)
}

// compare wants each shared word at most so much above the sum of the living's
// parts, and returns by how much all are.
func compare(t *testing.T, b *Board, allowed int64) (drift int64) {
	t.Helper()
	for cell := range childCells {
		var sum int64
		for child := range b.sizes.Children {
			n, _ := b.Row(child).account(cell).inFlight.read()
			sum += n
		}
		if dead, _ := b.Row(0).account(cell).inFlight.read(); dead != 0 {
			t.Errorf("the dead child has %d in flight", dead)
		}
		got := b.shared[cell].InFlight.Load()
		if got < sum || got > sum+allowed {
			t.Errorf("cell %d: shared %d, the living have %d", cell, got, sum)
		}
		drift += got - sum
	}
	return drift
}
