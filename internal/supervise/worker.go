package supervise

import (
	"context"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// linkFD is the child's descriptor of its link.
const linkFD = 3

// FirstFD is a child's descriptor of the first of its command's ExtraFiles.
const FirstFD = linkFD + 1

// The messages that every child and every master understand.
const (
	kindReady = "ready" // from a child: it serves
	kindDrain = "drain" // to a child: finish what is begun, take nothing new, exit
)

// Master is a child's end of the link to its master.
type Master struct {
	*Link
	drain chan struct{}
}

// Attach takes the link that this process has inherited. Handle gets the master's
// messages, those of this package excepted.
func Attach(handle Handler) (*Master, error) {
	unix.CloseOnExec(linkFD)
	conn, err := connOf(os.NewFile(linkFD, "link"))
	if err != nil {
		return nil, fmt.Errorf("attach to master: %w", err)
	}
	m := &Master{drain: make(chan struct{})}
	told := sync.OnceFunc(func() { close(m.drain) })
	m.Link = newLink(conn, func(ctx context.Context, msg Message) (any, error) {
		if msg.Kind == kindDrain {
			told()
			return nil, nil
		}
		return handle(ctx, msg)
	})
	context.AfterFunc(m.ctx, told)
	return m, nil
}

// Ready tells the master that this process serves.
func (m *Master) Ready(ctx context.Context) error { return m.Call(ctx, kindReady, nil, nil) }

// Drain is closed when this process is to finish what it has begun and exit: the
// master says so, or it is gone.
func (m *Master) Drain() <-chan struct{} { return m.drain }
