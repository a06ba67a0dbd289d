package l7

import (
	"math/rand/v2"

	"lbctl/internal/loop"
	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
)

// runner is a thread of a worker process with the connections that it serves.
// What it serves them by is a Core, which nobody else touches.
type runner interface {
	// do has the thread run f, and returns when it has, or when the thread has ended.
	do(f func(*proxy.Core))
	// listen accepts a front's clients from now on. It is called within do.
	listen(f *front) error
	// unlisten accepts none any more. It is called within do.
	unlisten(f *front)
	// stop ends the thread, with whatever is still open.
	stop() error
}

// crew makes the runners of a worker process. desk is nil unless the model has one.
func crew(shape Shape, kind loop.Kind, board *scoreboard.Board, slot int) (runners []runner, d *desk, err error) {
	defer func() {
		if err != nil {
			for _, r := range runners {
				_ = r.stop()
			}
		}
	}()
	if shape.Model == Loop {
		w, err := newLooper(kind, shape.Processes == 1, board.Slot(slot, 0))
		if err != nil {
			return nil, nil, err
		}
		return []runner{w}, nil, nil
	}
	if shape.Model == Event {
		if d, err = newDesk(board, slot); err != nil {
			return nil, nil, err
		}
		keeper, err := newListener(d, board.Slot(slot, 0))
		if err != nil {
			return nil, nil, err
		}
		// Last, for it is to outlive the threads, who give clients back to it.
		defer func() { runners = append(runners, keeper) }()
	}
	for i := range shape.Threads {
		t, err := newThread(board.Slot(slot, i), d)
		if err != nil {
			return runners, d, err
		}
		runners = append(runners, t)
	}
	return runners, d, nil
}

// seed tells a thread's random numbers from those of all others, in other processes
// and after a restart, too: request IDs are made of them.
func seed() uint64 { return rand.Uint64() }
