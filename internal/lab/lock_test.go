package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLockNamesItsHolderAndIsReleased(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "run")}
	unlock, err := Lock(t.Context(), o, "one")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = Down(ctx, o, "one")
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d (", os.Getpid())) {
		t.Errorf("Down beside a holder: %v", err)
	}
	if other, err := Lock(t.Context(), o, "two"); err != nil {
		t.Errorf("another lab's lock: %v", err)
	} else {
		other()
	}
	locked := o
	locked.Locked = true
	if err := Down(t.Context(), locked, "one"); err != nil {
		t.Errorf("Down by the holder: %v", err)
	}
	unlock()
	if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run directory is left: %v", err)
	}
}

// The lock's file is removed at each release, under the feet of those waiting.
func TestLockExcludesWhileItsFileComesAndGoes(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "run")}
	var holders atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				unlock, err := Lock(t.Context(), o, "lab")
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d holders", n)
				}
				holders.Add(-1)
				unlock()
			}
		})
	}
	wg.Wait()
}

func TestAWaitForALockEndsWithItsContext(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "run")}
	unlock, err := Lock(t.Context(), o, "lab")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := Lock(ctx, o, "lab"); err == nil || time.Since(began) > patience/2 {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	cancel()
	if _, err := Lock(ctx, o, "other"); !errors.Is(err, ctx.Err()) {
		t.Errorf("a lock that nobody wants any more: %v", err)
	}
}

func TestSweepTakesDeadLocksOnly(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "run")}
	unlock, err := Lock(t.Context(), o, "held")
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(o.Dir, ".dead.lock")
	if err := os.WriteFile(dead, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := SweepLocks(o); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(o.Dir + "/.*"); len(left) != 1 || filepath.Base(left[0]) != ".held.lock" {
		t.Errorf("left: %v, want the one that is held", left)
	}
	unlock()
	if err := SweepLocks(o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run directory is left: %v", err)
	}
}
