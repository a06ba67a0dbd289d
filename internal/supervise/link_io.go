package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// write waits for the deadline of ctx, or writePatience, at most.
func (l *Link) write(ctx context.Context, e envelope, files []*os.File) error {
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.ctx.Err() != nil {
		return ErrLinkClosed
	}
	deadline, ok := ctx.Deadline()
	if latest := time.Now().Add(writePatience); !ok || deadline.After(latest) {
		deadline = latest
	}
	_ = l.conn.SetWriteDeadline(deadline)
	err = writeFrame(l.conn, body, files)
	if err != nil && !errors.Is(err, errFrame) { // half a frame may be out
		l.Close()
	}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed) {
		err = fmt.Errorf("%w: %w", ErrLinkClosed, err)
	}
	return err
}

// read ends with the link.
func (l *Link) read() {
	defer l.Close()
	for {
		f, err := readFrame(unixSource{l.conn})
		if err != nil {
			return
		}
		var e envelope
		if err := json.Unmarshal(f.body, &e); err != nil {
			f.close()
			return
		}
		if e.Kind != "" {
			go l.answer(e, f.files)
			continue
		}
		f.close()
		l.mu.Lock()
		if answered := l.waiting[e.ID]; answered != nil {
			delete(l.waiting, e.ID) // a second answer must find nobody: the channel holds one
			answered <- e
		}
		l.mu.Unlock()
	}
}

func (l *Link) answer(request envelope, files []*os.File) {
	answer := envelope{ID: request.ID}
	v, err := l.handle(l.ctx, Message{Kind: request.Kind, Body: request.Body, Files: files})
	closeAll(files)
	if err == nil {
		answer.Body, err = json.Marshal(v)
	}
	if err != nil {
		answer.Refuse = "refused: " + err.Error()
	}
	_ = l.write(l.ctx, answer, nil) // ends the link if it fails
}
