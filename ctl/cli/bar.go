package cli

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"lbctl/internal/traffic"
)

// bar shows how far a measurement is: a bar with the time left on a terminal,
// a line for each round elsewhere.
type bar struct {
	shell *shell
	pool  *mpb.Progress
	bar   *mpb.Bar
	now   atomic.Pointer[traffic.Progress] // written by Compare, read by the pool's goroutine
}

func (s *shell) newBar() *bar { return &bar{shell: s} }

func (b *bar) show(p traffic.Progress) {
	b.now.Store(&p)
	if !b.shell.terminal {
		if p.What != "" {
			fmt.Fprintf(b.shell.err, "%2d/%d  %s, %s left\n", p.Done+1, p.Total, p.What, left(p))
		}
		return
	}
	if b.pool == nil {
		b.pool = mpb.New(mpb.WithOutput(b.shell.err), mpb.WithWidth(40))
		b.bar = b.pool.AddBar(int64(p.Total), mpb.BarRemoveOnComplete(),
			mpb.AppendDecorators(
				decor.CountersNoUnit(" %d/%d"),
				decor.Any(func(decor.Statistics) string {
					return fmt.Sprintf("  %s left  %s", left(*b.now.Load()), b.now.Load().What)
				}),
			))
	}
	b.bar.SetCurrent(int64(p.Done))
}

func (b *bar) end() {
	if b.pool != nil {
		b.bar.Abort(true)
		b.pool.Wait()
	}
}

func left(p traffic.Progress) string { return p.Left.Round(time.Second).String() }
