package accesslog

import (
	"sync/atomic"
	"time"

	"lbctl/internal/lb"
)

// Log is a service's access log. Its methods may be called by all threads of a
// process; none waits for the file.
type Log struct {
	sink   *Sink
	format format // under the sink's lock
	sample uint64
	seen   atomic.Uint64
	lost   func(lines int)
}

// newLog writes to a sink. lost counts lines that it had no room for.
func newLog(c lb.AccessLog, s *Sink, lost func(lines int)) *Log {
	return &Log{sink: s, format: formatOf(c.Format), sample: uint64(max(c.Sample, 1)), lost: lost}
}

// Log puts a record's line where the sink's goroutine takes it from, if it is
// one of the sample.
func (l *Log) Log(r *Record) {
	if (l.seen.Add(1)-1)%l.sample != 0 {
		return
	}
	now := time.Now()
	if !l.sink.add(func(dst []byte) []byte { return l.format.line(dst, r, now) }) {
		l.lost(1)
	}
}
