package supervise

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Command is what a person asks of a master.
type Command string

// The commands, with nginx's signals.
const (
	CommandReload      Command = "reload"       // HUP
	CommandReopen      Command = "reopen"       // USR1: the log files
	CommandUpgrade     Command = "upgrade"      // USR2: the binary
	CommandStopWorkers Command = "stop workers" // WINCH: gracefully; the master stays
	CommandQuit        Command = "quit"         // QUIT: gracefully
	CommandTerminate   Command = "terminate"    // TERM, INT: fast
)

var commands = map[os.Signal]Command{
	unix.SIGHUP: CommandReload, unix.SIGUSR1: CommandReopen, unix.SIGUSR2: CommandUpgrade,
	unix.SIGWINCH: CommandStopWorkers, unix.SIGQUIT: CommandQuit,
	unix.SIGTERM: CommandTerminate, unix.SIGINT: CommandTerminate,
}

// Signals turns this process's signals into commands until ctx ends; then they
// have their former effects again, and the channel is closed. A process with a
// terminal gets WINCH whenever the window changes its size, so there it is no
// command.
func Signals(ctx context.Context) <-chan Command {
	got := make(chan os.Signal, 16)
	for s := range commands {
		if s != unix.SIGWINCH || !hasTerminal() {
			signal.Notify(got, s)
		}
	}
	out := make(chan Command)
	go func() {
		defer close(out)
		defer signal.Stop(got)
		for {
			select {
			case s := <-got:
				select {
				case out <- commands[s]:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func hasTerminal() bool {
	f, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	f.Close()
	return true
}
