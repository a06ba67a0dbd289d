package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

// insistence is how long after the first signal a further one kills. One that
// comes at once is the same: timeout(1) signals the process and then its group.
const insistence = time.Second

// Signals returns the context of a process: SIGINT and SIGTERM end it, and
// verbs clean up. Whoever signals again does not want to wait for that.
//
// SIGPIPE becomes an error of the write, because a verb whose reader is gone may
// still have a lab to take down. It is caught, not ignored: what `exec` and the
// lab's processes inherit is the default.
func Signals() (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { time.AfterFunc(insistence, stop) })
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return ctx, stop
}

// untilHangup lets a terminal that hangs up end a verb that must clean up after
// itself, unless nohup(1) asked for the contrary.
func untilHangup(c *cli.Context) (stop func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return func() {}
	}
	c.Context, stop = signal.NotifyContext(c.Context, syscall.SIGHUP)
	return stop
}

// untilUnread ends the verb's context when the reader of its output goes away. A
// verb that waits for something to print would not notice before it came.
func (s *shell) untilUnread(c *cli.Context) (stop func()) {
	out, ok := s.out.(*os.File)
	if !ok {
		return func() {}
	}
	c.Context, stop = context.WithCancel(c.Context)
	go func() {
		fds := []unix.PollFd{{Fd: int32(out.Fd())}} // a pipe without a reader is an error, asked for or not
		for {
			if _, err := unix.Poll(fds, -1); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		stop()
	}()
	return stop
}
