package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lbctl/internal/lab"
)

// stay is `up --foreground`: the lab lives as long as this process, which ends
// when it is told to, also in the middle of up, and when somebody else takes
// the lab down.
func (b *builder) stay(ctx context.Context) error {
	err := b.up(ctx)
	if err != nil && (ctx.Err() == nil || !b.begun) {
		return err
	}
	if err == nil {
		b.printNext()
		fmt.Fprintln(b.out, "\nstaying in the foreground; Ctrl-C takes the lab down")
		defer reapOrphans()()
		if b.watch(ctx) {
			fmt.Fprintf(b.out, "lab %s was taken down\n", b.scenario.Name)
			return nil
		}
	}
	if err := b.takeDown(b.options, b.scenario.Name); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "lab %s is down\n", b.scenario.Name)
	return nil
}

// watch returns true once the lab is gone, false when ctx ends.
func (b *builder) watch(ctx context.Context) (gone bool) {
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
			if _, err := lab.Open(b.options, b.scenario.Name); errors.Is(err, lab.ErrNoLab) {
				return true
			}
		}
	}
}
