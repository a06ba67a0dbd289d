package l7

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"lbctl/internal/lb"
)

// Quit has the proxy at a socket, if there is one, answer what is in flight and
// end, and returns when it has. A Plane that is open would start another.
func Quit(ctx context.Context, socket string) error {
	c := newClient(socket)
	for told := 0; ; { // another master may be taking over
		info, link, err := c.watch(ctx)
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		if err != nil && told != 0 && ctx.Err() == nil {
			time.Sleep(pollInterval)
			continue // it was about to close its door
		}
		if err != nil {
			return fmt.Errorf("end l7 proxy at %s: %w", socket, err)
		}
		if info.PID != told {
			told = info.PID
			if err := syscall.Kill(told, syscall.SIGQUIT); err != nil && !errors.Is(err, syscall.ESRCH) {
				link.Close()
				return fmt.Errorf("end l7 proxy %d: %w", told, err)
			}
		}
		stop := context.AfterFunc(ctx, func() { link.Close() })
		link.follow(func(lb.Ejection) {})
		stop()
		link.Close()
	}
}
