package supervise

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestAChildHasItsTimerSlackAndWeOurs(t *testing.T) {
	const file = "/proc/thread-self/timerslack_ns" // of whichever thread reads it
	before, err := os.ReadFile("/proc/self/timerslack_ns")
	if err != nil {
		t.Skip("this kernel does not tell: ", err)
	}
	var said bytes.Buffer
	cmd := exec.Command("cat", "/proc/self/timerslack_ns")
	cmd.Stdout = &said
	if err := startSlack(cmd, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || said.String() != "20000000\n" {
		t.Errorf("the child's is %q (%v), want 20000000", said.String(), err)
	}
	for range 100 { // some of it on the thread that started the child
		if now, err := os.ReadFile(file); err == nil && !bytes.Equal(now, before) {
			t.Fatalf("ours is %q now, and was %q", now, before)
		}
	}
}
