package traffic

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMachineTimeIsReadFromProcStat(t *testing.T) {
	got, err := parseMachineTime([]byte("cpu  100 2 30 4000 50 6 7 8 0 0\ncpu0 1 2 3\ncpu1 1 2 3\nintr 7\n"))
	want := MachineTime{User: time.Second, Nice: 20 * time.Millisecond, System: 300 * time.Millisecond, Idle: 40500 * time.Millisecond, IRQ: 60 * time.Millisecond, SoftIRQ: 70 * time.Millisecond, Steal: 80 * time.Millisecond, Cores: 2}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	window := MachineTime{User: time.Hour, Idle: 3 * time.Second, Steal: 100 * time.Millisecond, Cores: 2}
	if busy := window.busy(2 * time.Second); busy != 900*time.Millisecond {
		t.Errorf("of two cores for 2 s, idle for 3 s, %v were busy", busy)
	}
	for _, bad := range []string{"", "cpu 1 2", "cpu a b c d e f g h", "intr 1 2 3 4 5 6 7 8"} {
		if _, err := parseMachineTime([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if now, err := machineTime(); err != nil || now.Idle == 0 {
		t.Errorf("this machine: %+v, %v", now, err)
	}
}

func TestProcessCPUCountsWorkInNanoseconds(t *testing.T) {
	before, err := processCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 20*time.Millisecond; {
	}
	after, err := processCPU(os.Getpid())
	if err != nil || after-before < 2*time.Millisecond || (after-before)%time.Millisecond == 0 {
		t.Errorf("20 ms of spinning cost %v, %v", after-before, err)
	}
	if _, err := processCPU(1 << 22); err == nil {
		t.Error("a process that does not exist has a CPU clock")
	}
}

func TestBusyIsOfAllCoresWhateverThisProcessMayUse(t *testing.T) {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil || all.Count() < 2 {
		t.Skipf("this process may use %d cores (%v): two would show the difference", all.Count(), err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range 1024 {
		if all.IsSet(i) {
			one.Set(i)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &all) }()
	now, err := machineTime()
	if err != nil || now.Cores < all.Count() {
		t.Errorf("%d cores, %v: want %d at least", now.Cores, err, all.Count())
	}
}
