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
	unlock, err := Lock(o, "one")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = Down(ctx, o, "one")
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), fmt.Sprintf("pid %d (", os.Getpid())) {
		t.Errorf("Down beside a holder: %v", err)
	}
	if other, err := Lock(o, "two"); err != nil {
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
				unlock, err := Lock(o, "lab")
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
