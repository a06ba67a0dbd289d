package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// writePatience bounds what a process that does not read can cost.
const writePatience = 10 * time.Second

// ErrLinkClosed means that the process at the other end is gone, or that this end
// was closed.
var ErrLinkClosed = errors.New("link is closed")

// Refusal is why the process at the other end does not do what it was asked: its words.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Message is a request that came over a link.
type Message struct {
	Kind  string
	Body  json.RawMessage
	Files []*os.File // closed when the handler returns; one that it keeps it sets to nil here
}

// Into decodes the body.
func (m Message) Into(v any) error {
	if err := json.Unmarshal(m.Body, v); err != nil {
		return fmt.Errorf("decode %s: %w", m.Kind, err)
	}
	return nil
}

// Handler answers a request. It is called in a goroutine of its own for each; ctx
// ends with the link.
type Handler func(ctx context.Context, m Message) (answer any, err error)

// Link carries requests and answers both ways between a master and a child. Its
// methods are safe for concurrent use.
type Link struct {
	conn   *net.UnixConn
	handle Handler
	ctx    context.Context
	end    context.CancelFunc

	writing sync.Mutex

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan envelope
}

// envelope is a frame's body.
type envelope struct {
	ID     uint64          `json:"id"`
	Kind   string          `json:"kind,omitempty"` // empty: an answer
	Body   json.RawMessage `json:"body,omitempty"`
	Refuse string          `json:"refuse,omitempty"`
}

func newLink(conn *net.UnixConn, handle Handler) *Link {
	l := &Link{conn: conn, handle: handle, waiting: map[uint64]chan envelope{}}
	l.ctx, l.end = context.WithCancel(context.Background())
	go l.read()
	return l
}

// Done is closed when the link has ended.
func (l *Link) Done() <-chan struct{} { return l.ctx.Done() }

// Close ends the link, at the other end too.
func (l *Link) Close() {
	l.end()
	l.conn.Close()
}

// Call sends a request with files, which stay the caller's, and decodes the answer
// into a value unless that is nil. A Refusal comes back if the other process
// answers with an error. A request that cannot be written whole ends the link.
func (l *Link) Call(ctx context.Context, kind string, body, into any, files ...*os.File) error {
	answer, err := l.call(ctx, kind, body, files)
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	if err != nil {
		return fmt.Errorf("call %s: %w", kind, err)
	}
	return nil
}

func (l *Link) call(ctx context.Context, kind string, body any, files []*os.File) (json.RawMessage, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	id, answered := l.expect()
	defer l.forget(id)
	if err := l.write(ctx, envelope{ID: id, Kind: kind, Body: raw}, files); err != nil {
		return nil, err
	}
	select {
	case a := <-answered:
		if a.Refuse != "" {
			return nil, Refusal(a.Refuse)
		}
		return a.Body, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.ctx.Done():
		return nil, ErrLinkClosed
	}
}

func (l *Link) expect() (uint64, <-chan envelope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	answered := make(chan envelope, 1)
	l.waiting[l.last] = answered
	return l.last, answered
}

func (l *Link) forget(id uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, id)
}
