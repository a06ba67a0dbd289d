package supervise

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestNoPollerWatchesAListeningSocket(t *testing.T) {
	l, addr := openListeners(t)
	fd := l.Sockets()[0].File.Fd()
	polls := 0
	entries, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := os.ReadFile("/proc/self/fdinfo/" + e.Name())
		if err != nil || !strings.Contains(string(info), "tfd:") {
			continue
		}
		polls++
		for line := range strings.Lines(string(info)) {
			if strings.HasPrefix(line, fmt.Sprintf("tfd: %8d ", fd)) {
				t.Errorf("descriptor %d, which listens at %s, is watched: %s", fd, addr, line)
			}
		}
	}
	if polls == 0 {
		t.Skip("Go's poller shows no descriptor")
	}
}
