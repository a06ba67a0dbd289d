package traffic

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync"
	"time"
)

// worker drives one connection at a time and keeps its own counts, which are
// read when it is done.
type worker struct {
	g      *generator
	target int // index of the connection's
	shard  *shard
	done   chan struct{}

	mu   sync.Mutex   // between interrupt and the worker
	conn *net.TCPConn // nil: none
	in   stream
	memo memo

	pause time.Duration // after the next error

	requests, answered, connections, bytesIn, bytesOut, queued, dropped uint64

	errors  map[string]uint64
	servers map[string]*uint64
}

// memo is the last response head, parsed. A server repeats itself, and equal
// bytes parse equally.
type memo struct {
	head    []byte
	resp    response
	answers *uint64 // of its server
}

func newWorker(g *generator, id int) *worker {
	return &worker{
		g: g, target: id % len(g.load.Targets), shard: &g.shards[id%len(g.shards)], done: make(chan struct{}),
		errors: map[string]uint64{}, servers: map[string]*uint64{},
	}
}

func (w *worker) run() {
	defer close(w.done)
	defer w.disconnect()
	if w.g.pacer != nil {
		w.openLoop()
	} else {
		w.closedLoop()
	}
}

func (w *worker) closedLoop() {
	g := w.g
	for !g.stopped.Load() {
		start := g.now()
		measured := g.window.begun(start)
		if g.window.over(start) || measured && !g.take() {
			return
		}
		if w.exchange(start, measured) {
			w.pause = 0
			continue
		}
		w.pause = min(max(2*w.pause, time.Millisecond), 100*time.Millisecond)
		time.Sleep(w.pause)
	}
}

func (w *worker) openLoop() {
	g := w.g
	for a := range g.pacer.queue {
		if g.stopped.Load() {
			continue // empty the queue
		}
		measured, waited := g.load.measured(a.due), g.now()-a.handed
		if waited > g.load.Timeout {
			if measured {
				w.dropped++
				g.failed()
			}
			continue
		}
		if measured && waited > lateness {
			w.queued++
		}
		w.exchange(a.due, measured)
	}
}

// exchange sends one request, reads its answer and counts what happened. It
// reports success.
func (w *worker) exchange(due time.Duration, measured bool) bool {
	read := w.in.read
	status, answers, connecting, err := w.try(measured)
	end := w.g.now()
	if measured {
		w.bytesIn += w.in.read - read
	}
	if err != nil {
		w.disconnect()
		w.count(measured, errorKind(err, connecting))
		return false
	}
	if measured {
		*answers++
	}
	if status >= 400 {
		w.count(measured, "status_"+strconv.Itoa(status))
		w.afterwards()
		return false
	}
	if w.g.window.holds(end) {
		w.answered++
	}
	if measured {
		w.requests++
		w.shard.mu.Lock()
		w.shard.h.Record(end - due)
		w.shard.mu.Unlock()
	}
	w.afterwards()
	return true
}

func (w *worker) count(measured bool, kind string) {
	if measured && !w.g.stopped.Load() { // what an interrupt broke is no error
		w.errors[kind]++
		w.g.failed()
	}
}

// try makes the exchange up to the last byte of the answer.
func (w *worker) try(measured bool) (status int, answers *uint64, connecting bool, err error) {
	if w.conn == nil {
		if err := w.connect(); err != nil {
			return 0, nil, true, err
		}
		if measured {
			w.connections++
		}
	} else if err := w.conn.SetDeadline(time.Now().Add(w.g.load.Timeout)); err != nil {
		return 0, nil, false, err
	}
	if w.g.stopped.Load() { // our deadline may have replaced that of interrupt
		return 0, nil, false, context.Canceled
	}
	request := w.g.requests[w.target]
	if _, err := w.conn.Write(request); err != nil {
		return 0, nil, false, err
	}
	if measured {
		w.bytesOut += uint64(len(request))
	}
	if err := w.readHead(); err != nil {
		return 0, nil, false, err
	}
	resp := &w.memo.resp
	switch {
	case resp.bodyless():
	case resp.untilClose():
		err = w.in.drain()
	default:
		err = w.in.body(resp.framing, nil)
	}
	if err == nil && len(w.in.buffered()) > 0 {
		err = malformed("bytes after the answer")
	}
	return resp.status, w.memo.answers, false, err
}

// readHead leaves the final response's head in memo.
func (w *worker) readHead() error {
	if len(w.in.buffered()) == 0 {
		if err := w.in.fill(maxHead); err != nil {
			return err
		}
	}
	if m := w.memo.head; len(m) > 0 && bytes.HasPrefix(w.in.buffered(), m) {
		w.in.r += len(m)
		return nil
	}
	for {
		head, err := w.in.head()
		if err != nil {
			return err
		}
		resp, err := parseResponse(head)
		if err != nil {
			return err
		}
		if resp.interim() {
			continue
		}
		w.memo.head = append(w.memo.head[:0], head...)
		w.memo.answers = w.servers[string(resp.server)]
		if w.memo.answers == nil {
			w.memo.answers = new(uint64)
			w.servers[string(resp.server)] = w.memo.answers
		}
		resp.server = nil // points into the buffer
		w.memo.resp = resp
		return nil
	}
}

// afterwards makes the connection ready for the next request, or ends it. Where
// the server ends it the worker waits for that, see Generate.
func (w *worker) afterwards() {
	resp := &w.memo.resp
	persists := resp.persists(resp.minor) && !resp.untilClose()
	if persists && w.g.load.KeepAlive {
		return
	}
	if !persists {
		_ = w.in.drain() // the answer is complete: whatever happens now is no error
	}
	w.disconnect()
}
