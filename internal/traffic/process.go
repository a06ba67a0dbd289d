package traffic

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// message is one line of what a forked generator writes: an event, or at last
// its result or the reason why there is none.
type message struct {
	Event  Event   `json:"event,omitempty"`
	Result *Result `json:"result,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// order is what a forked generator reads. With Hold it stops as soon as its
// input ends, so that it does not outlive a parent that was killed.
type order struct {
	Load
	Hold bool `json:"hold,omitempty"`
}

// RunProcess runs the generator as a process of its own: `self load`, started by
// start, which may put it into another network namespace. It passes the
// generator's events on as they come. When ctx ends the process is told to stop,
// and killed if it does not.
func RunProcess(ctx context.Context, start func(*exec.Cmd) error, self string, load Load, event func(Event)) (Result, error) {
	input, err := json.Marshal(order{Load: load, Hold: true})
	if err != nil {
		return Result{}, fmt.Errorf("encode load: %w", err)
	}
	cmd := exec.Command(self, "load")
	var stderr tail
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return Result{}, fmt.Errorf("start generator: %w", err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return Result{}, fmt.Errorf("start generator: %w", err)
	}
	if err := start(cmd); err != nil {
		return Result{}, fmt.Errorf("start generator: %w", err)
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { stopProcess(cmd, done) })
	defer stop()

	_, writeErr := stdin.Write(append(input, '\n'))
	result, readErr := readMessages(stdout, event)
	_, _ = io.Copy(io.Discard, stdout) // so that it can end, whatever it still says
	waitErr := cmd.Wait()
	close(done)
	switch {
	case ctx.Err() != nil:
		return result, ctx.Err()
	case waitErr != nil:
		return result, fmt.Errorf("run generator: %w", errors.Join(waitErr, readErr, stderr.err()))
	case writeErr != nil:
		return result, fmt.Errorf("run generator: %w", writeErr)
	}
	return result, readErr
}

// stopProcess asks, then kills. os/exec makes a signal to a process that was
// already waited for harmless.
func stopProcess(cmd *exec.Cmd, done <-chan struct{}) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-done:
	case <-time.After(2 * time.Second):
		_ = cmd.Process.Kill()
	}
}

func readMessages(r io.Reader, event func(Event)) (Result, error) {
	dec := json.NewDecoder(r)
	for {
		var m message
		if err := dec.Decode(&m); err != nil {
			return Result{}, fmt.Errorf("read from generator: %w", err)
		}
		switch {
		case m.Error != "":
			return Result{}, errors.New(m.Error)
		case m.Result != nil:
			return *m.Result, nil
		case event != nil:
			event(m.Event)
		}
	}
}

// RunLoad is the other end: the verb `load`. It reads one Load as JSON, generates
// it, and writes a line of JSON for each event and one with the result. An error
// is written too, for the parent, and returned.
func RunLoad(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var o order
	br := bufio.NewReader(in)
	dec := json.NewDecoder(br)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		return fmt.Errorf("read load: %w", err)
	}
	if o.Hold {
		go func() {
			_, _ = io.Copy(io.Discard, br)
			cancel()
		}()
	}
	limitProcs(max(o.Loops, 1))
	enc := json.NewEncoder(out)
	result, err := Generate(ctx, o.Load, func(e Event) {
		if enc.Encode(message{Event: e}) != nil {
			cancel() // nobody listens any more
		}
	})
	if err != nil {
		return errors.Join(err, enc.Encode(message{Error: err.Error()}))
	}
	return enc.Encode(message{Result: &result})
}

// limitProcs gives the process what so many loops need: a core each, and one for
// all else, which would otherwise wait for a loop that never sleeps. More would only
// spin in search of work.
func limitProcs(loops int) {
	if loops+1 < runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(loops + 1)
	}
}

// tail keeps the end of what a process wrote to its standard error.
type tail struct{ buf []byte }

func (t *tail) Write(p []byte) (int, error) {
	const keep = 2048
	t.buf = append(t.buf, p...)
	if len(t.buf) > keep {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-keep:]...)
	}
	return len(p), nil
}

func (t *tail) err() error {
	if s := bytes.TrimSpace(t.buf); len(s) > 0 {
		return errors.New(string(s))
	}
	return nil
}
