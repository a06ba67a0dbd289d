package accesslog

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	flushEvery = 500 * time.Millisecond // a line is in the file after so long at most, if the file takes it
	flushAt    = 64 << 10               // bytes that are written sooner
	roomFor    = 1 << 20                // bytes that wait for the file before lines are dropped
)

// Sink is a file that lines are appended to by several processes. Lines are put
// into memory, and a goroutine writes all that is there in one write, so that
// those of others do not come in between.
type Sink struct {
	file file
	lost atomic.Pointer[func(lines int)]

	mu      sync.Mutex // held for a line, or to exchange the buffers; never while the file is waited for
	filling []byte

	spare []byte // the goroutine's
	rest  []byte // of spare, what the file has not taken

	full    chan struct{}
	reopens chan chan error
	closing chan struct{}
	closed  chan struct{}
}

// Open makes a sink. It does not wait for the file: the goroutine opens it, and if it
// cannot, tries again for each write. lost counts lines that the file did not take.
func Open(path string, lost func(lines int)) *Sink {
	s := &Sink{
		file: file{path: path, fd: -1}, filling: make([]byte, 0, flushAt+flushAt/2), spare: make([]byte, 0, flushAt+flushAt/2),
		full: make(chan struct{}, 1), reopens: make(chan chan error, 1), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	s.lost.Store(&lost)
	go s.run()
	return s
}

// add appends a line, or says that there is no room.
func (s *Sink) add(line func(dst []byte) []byte) bool {
	s.mu.Lock()
	before := len(s.filling)
	if before > roomFor {
		s.mu.Unlock()
		return false
	}
	s.filling = line(s.filling)
	after := len(s.filling)
	s.mu.Unlock()
	if before < flushAt && after >= flushAt {
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
	return true
}

func (s *Sink) run() {
	defer close(s.closed)
	_ = s.file.reopen() // else it is tried again
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.flush()
		case <-s.full:
			s.flush()
		case answer := <-s.reopens:
			s.flush()
			answer <- s.file.reopen()
		case <-s.closing:
			s.flush()
			s.mu.Lock()
			s.drop(count(s.rest) + count(s.filling))
			s.mu.Unlock()
			s.file.close()
			return
		}
	}
}

// flush writes what is there. What the file has no room for yet stays first.
func (s *Sink) flush() {
	for {
		if len(s.rest) == 0 {
			s.mu.Lock()
			s.filling, s.spare = s.spare[:0], s.filling
			s.mu.Unlock()
			s.rest = s.spare
		}
		if len(s.rest) == 0 {
			return
		}
		var lost int
		s.rest, lost = s.file.write(s.rest)
		s.drop(lost)
		if len(s.rest) > 0 {
			return
		}
	}
}

func (s *Sink) drop(lines int) {
	if lines > 0 {
		(*s.lost.Load())(lines)
	}
}

// reopen goes on with the file that has the path now. No line is lost: those
// before went to the old one, and if the new one cannot be opened all others do. A
// file that does not answer before ctx ends is reopened as soon as it does.
func (s *Sink) reopen(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case s.reopens <- answer:
	case <-s.closed:
		return nil
	case <-ctx.Done(): // one waits already, and will do
		return s.silent(ctx)
	}
	select {
	case err := <-answer:
		return err
	case <-s.closed:
		return nil
	case <-ctx.Done():
		return s.silent(ctx)
	}
}

func (s *Sink) silent(ctx context.Context) error {
	return fmt.Errorf("reopen log %s: the file does not answer yet: %w", s.file.path, ctx.Err())
}

// close writes what is left, and waits for that until ctx ends.
func (s *Sink) close(ctx context.Context) {
	close(s.closing)
	select {
	case <-s.closed:
	case <-ctx.Done():
	}
}
