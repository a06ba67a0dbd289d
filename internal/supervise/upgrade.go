package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// firstExtra is the descriptor that a command's first extra file gets.
const firstExtra = 3

// lastWords is how long a new master that has given up may take to end.
const lastWords = time.Second

// Successor is a master that has taken over.
type Successor struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// Ended is closed when it has.
func (s *Successor) Ended() <-chan struct{} { return s.ended }

// Died says what a successor that has ended died of; nil: it ended as masters do
// that are told to.
func (s *Successor) Died() error {
	if s.cmd.ProcessState.Success() {
		return nil
	}
	return fmt.Errorf("it died: %s", s.cmd.ProcessState)
}

// Upgrade starts a new master, which serves at the same sockets beside this one,
// and returns it when it has said that it is ready: this one is to finish then.
// If it dies, refuses or is not ready before ctx ends, it is killed, its children
// finish, and this master goes on as if nothing had happened; the error says why.
// Cmd is the new binary, not started; the ExtraFiles that it has keep their numbers.
func Upgrade(ctx context.Context, cmd *exec.Cmd, l *Listeners) (*Successor, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("upgrade to %s: %w", cmd.Path, err)
	}
	defer r.Close()
	readyFD := firstExtra + len(cmd.ExtraFiles)
	list, files := l.handDown(readyFD + 1)
	if list != "" {
		list = "," + list
	}
	cmd.ExtraFiles = append(append(cmd.ExtraFiles, w), files...)
	cmd.Env = append(cmd.Environ(), fmt.Sprintf("%s=ready=%d%s", inheritVariable, readyFD, list))
	err = cmd.Start()
	w.Close()
	if err != nil {
		return nil, fmt.Errorf("upgrade to %s: %w", cmd.Path, err)
	}
	next := &Successor{cmd, make(chan struct{})}
	go func() { // reaps it, be it in years
		_ = cmd.Wait()
		close(next.ended)
	}()
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	err = hear(r)
	stop()
	if err == nil {
		return next, nil
	}
	select {
	case <-next.ended: // by itself, which is more telling
	case <-ctx.Done():
	case <-time.After(lastWords):
	}
	_ = cmd.Process.Kill()
	<-next.ended
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("it was not ready in time: %w", ctx.Err())
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("it died: %s", cmd.ProcessState)
	}
	return nil, fmt.Errorf("upgrade to %s: %w", cmd.Path, err)
}
