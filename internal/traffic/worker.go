package traffic

import (
	"strconv"
	"time"

	"lbctl/internal/loop"
)

// worker drives one connection at a time.
type worker struct {
	loop   *loadLoop
	target int // index of the connection's
	conn   *loop.Conn
	state  state
	gone   string // the kind of error that met the connection while it was idle, "" if none has

	due      time.Duration // of the request: latency counts from there
	measured bool
	ok       bool // its answer was one
	reply    reply
	pause    time.Duration // after the last error
}

// state is what a worker waits for.
type state uint8

const (
	idle       state = iota // a request
	connecting              // the connection
	receiving               // the answer
	parting                 // the server, which is to close
)

func newWorker(l *loadLoop, target int) *worker {
	return &worker{loop: l, target: target, reply: reply{servers: &l.servers}}
}

// begin sends a request. What ended the connection meanwhile ends the request.
func (w *worker) begin(due time.Duration, measured bool) {
	w.due, w.measured = due, measured
	switch {
	case w.gone != "":
		w.fail(w.gone)
	case w.conn == nil:
		w.connect()
	default:
		w.conn.Deadline(w.loop.g.load.Timeout)
		w.send()
	}
}

// connect connects to the next target: always the same one with keep-alive,
// each in turn without.
func (w *worker) connect() {
	load := &w.loop.g.load
	if !load.KeepAlive {
		w.target = (w.target + 1) % len(load.Targets)
	}
	w.state = connecting
	w.conn = w.loop.events.Connect(load.Targets[w.target], w)
	w.conn.Deadline(load.Timeout) // of the request too
}

func (w *worker) disconnect() {
	w.gone = ""
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

func (w *worker) send() {
	w.state = receiving
	w.reply.begin()
	request := w.loop.g.requests[w.target]
	w.conn.Write(request)
	if w.measured {
		w.loop.bytesOut += uint64(len(request))
	}
}

// fail ends the request, and the connection with it.
func (w *worker) fail(kind string) {
	w.disconnect()
	w.loop.count(w.measured, kind)
	w.next(false, w.loop.g.now())
}

// answered counts an answer and makes the connection ready for the next request,
// or ends it. Where the server ends it the worker waits for that, see Generate.
func (w *worker) answered() {
	l, now := w.loop, w.loop.g.now()
	if w.measured {
		w.reply.server.answers++
	}
	if w.ok = w.reply.status < 400; w.ok {
		if l.g.window.holds(now) {
			l.answered++
		}
		if w.measured {
			l.requests++
			l.latency.Record(now - w.due)
		}
	} else {
		l.count(w.measured, "status_"+strconv.Itoa(w.reply.status))
	}
	switch {
	case !w.reply.keep:
		w.state = parting
		return
	case !l.g.load.KeepAlive:
		w.disconnect()
	}
	w.next(w.ok, now)
}

// part: the server has closed, or will not. The answer was complete, so whatever
// happened since is no error.
func (w *worker) part() {
	w.disconnect()
	w.next(w.ok, w.loop.g.now())
}

// next goes on after a request that succeeded or did not.
func (w *worker) next(ok bool, now time.Duration) {
	w.state = idle
	switch {
	case w.loop.schedule != nil:
		w.loop.schedule.free(w, now)
	case ok:
		w.pause = 0
		w.again(now)
	default:
		w.pause = min(max(2*w.pause, time.Millisecond), 100*time.Millisecond)
		w.loop.wake(w, now+w.pause)
	}
}

// again sends the next request of a closed loop, if there is to be one.
func (w *worker) again(now time.Duration) {
	g := w.loop.g
	measured := g.window.begun(now)
	if g.stopped.Load() || g.window.over(now) || measured && !g.take() {
		w.end()
		return
	}
	w.begin(now, measured)
}

// end: there are no more requests for this worker.
func (w *worker) end() {
	w.disconnect()
	w.loop.leave()
}
