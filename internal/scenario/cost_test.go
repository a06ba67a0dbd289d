package scenario

import (
	"runtime"
	"syscall"
	"testing"
	"time"
)

// costs fails if f takes more CPU time than that. What else the machine does
// meanwhile counts as little as it can.
func costs(t *testing.T, most time.Duration, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := threadTime(t)
	f()
	if took := threadTime(t) - began; took > most {
		t.Errorf("took %v of CPU time, want at most %v", took, most)
	} else {
		t.Logf("%v", took)
	}
}

// threadTime is the CPU time that the calling thread has had.
func threadTime(t *testing.T) time.Duration {
	t.Helper()
	const ofThread = 1 // RUSAGE_THREAD
	var use syscall.Rusage
	if err := syscall.Getrusage(ofThread, &use); err != nil {
		t.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
