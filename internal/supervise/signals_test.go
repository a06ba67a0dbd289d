package supervise

import (
	"context"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSignalsAreNginxs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	commands := Signals(ctx)
	for _, c := range []struct {
		signal unix.Signal
		want   Command
	}{
		{unix.SIGHUP, CommandReload},
		{unix.SIGUSR1, CommandReopen},
		{unix.SIGUSR2, CommandUpgrade},
		{unix.SIGWINCH, CommandStopWorkers},
		{unix.SIGQUIT, CommandQuit},
		{unix.SIGTERM, CommandTerminate},
		{unix.SIGINT, CommandTerminate},
	} {
		if c.signal == unix.SIGWINCH && hasTerminal() {
			continue // it means that the window has another size
		}
		if err := unix.Kill(os.Getpid(), c.signal); err != nil {
			t.Fatal(err)
		}
		if got := <-commands; got != c.want {
			t.Errorf("%s = %s, want %s", c.signal, got, c.want)
		}
	}
	cancel()
	if c, open := <-commands; open {
		t.Errorf("command %s after the end", c)
	}
}
