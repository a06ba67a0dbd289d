package supervise

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// linkFD is the child's descriptor of its link.
const linkFD = 3

// FirstFD is a child's descriptor of the first of its command's ExtraFiles.
const FirstFD = linkFD + 1

// The messages that every child and every master understand.
const (
	kindReady = "ready" // from a child: it serves
	kindDrain = "drain" // time.Duration, to a child: finish what is begun within it, take nothing new, exit
)

// Master is a child's end of the link to its master.
type Master struct {
	*Link
	told chan struct{}   // closed when this process is to finish
	due  context.Context // ends when its time for that is over
}

// Attach takes the link that this process has inherited. Handle gets the master's
// messages, those of this package excepted. When the master is gone, this process
// has so much time to finish what it has begun.
func Attach(handle Handler, orphaned time.Duration) (*Master, error) {
	unix.CloseOnExec(linkFD)
	conn, err := connOf(os.NewFile(linkFD, "link"))
	if err != nil {
		return nil, fmt.Errorf("attach to master: %w", err)
	}
	due, cut := context.WithCancel(context.Background())
	m := &Master{told: make(chan struct{}), due: due}
	told := sync.OnceFunc(func() { close(m.told) })
	finish := func(within time.Duration) {
		time.AfterFunc(within, cut)
		told()
	}
	m.Link = newLink(conn, func(ctx context.Context, msg Message) (any, error) {
		if msg.Kind != kindDrain {
			return handle(ctx, msg)
		}
		var within time.Duration
		err := msg.Into(&within)
		if err == nil {
			finish(within)
		}
		return nil, err
	})
	context.AfterFunc(m.ctx, func() { finish(orphaned) })
	return m, nil
}

// Ready tells the master that this process serves.
func (m *Master) Ready(ctx context.Context) error { return m.Call(ctx, kindReady, nil, nil) }

// Finish waits until this process is to finish what it has begun and exit: the
// master says so, or is gone, or ctx ends. The context that it returns ends with
// ctx, or when the time for that is over, of which the master may leave less later.
func (m *Master) Finish(ctx context.Context) (context.Context, context.CancelFunc) {
	select {
	case <-m.told:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(m.due, cancel)
	return ctx, cancel
}
