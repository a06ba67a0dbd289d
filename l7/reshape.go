package l7

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"lbctl/internal/supervise"
)

// reshaping is a wish that the proxy go on in another shape. It does so as it takes
// a new binary: a master of that shape gets the sockets and what is in force, and
// this one finishes what it has begun. No connection is dropped; counters begin anew.
type reshaping struct {
	shape    Shape
	done     chan error    // capacity 1: what became of it
	answered chan struct{} // closed when who asked has been told
}

// putShape answers as soon as workers of the new shape serve.
func (p *processes) putShape(w http.ResponseWriter, r *http.Request) {
	ask := reshaping{done: make(chan error, 1), answered: make(chan struct{})}
	defer close(ask.answered)
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&ask.shape); err != nil {
		http.Error(w, "read shape: "+err.Error(), http.StatusBadRequest)
		return
	}
	if err := ask.shape.CheckTyped(); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	select {
	case p.reshapings <- ask:
	case <-r.Context().Done():
		return
	}
	if err := <-ask.done; err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	_ = http.NewResponseController(w).Flush()
}

// reshape returns the master that has taken over, if one has.
func (p *processes) reshape(ctx context.Context, ask reshaping, door *door) *supervise.Successor {
	if ask.shape.WithDefaults() == p.shape {
		ask.done <- nil
		return nil
	}
	p.master.log.Info("going on in another shape", "model", ask.shape.Model)
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	next, err := p.upgrade(ready, door, proxyArgs(door.socket, ask.shape))
	ask.done <- err
	if err != nil {
		p.master.log.Error("shape not taken; all goes on as before", "error", err)
		return nil
	}
	select { // the door closes next
	case <-ask.answered:
	case <-time.After(time.Second):
	}
	return next
}

// reshape asks for another shape, and returns when it serves.
func (c *client) reshape(ctx context.Context, s Shape) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, http.MethodPut, pathShape, bytes.NewReader(body))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// intoShape has an adopted proxy of another shape go on in the wanted one, and
// returns the link to who serves then. If it cannot, it serves on as it is: a plane
// of a wrong shape is better than none.
func (p *Plane) intoShape(ctx context.Context, link *lifeline) (*lifeline, error) {
	was, want := p.running.Load(), p.options.Shape.WithDefaults()
	if was.Shape.WithDefaults() == want { // an older binary may not know all of them
		return link, nil
	}
	patient := newPatientClient(p.options.Socket, readyTimeout+answerTimeout)
	if err := patient.reshape(ctx, p.options.Shape); err != nil {
		p.options.Log.Error("l7 proxy keeps its shape", "model", was.Shape.Model, "wanted", want.Model, "err", err)
		return link, nil
	}
	link.Close()
	deadline := time.Now().Add(startTimeout)
	for {
		link, err := p.adopt(ctx)
		if err == nil && p.PID() != was.PID {
			p.options.Log.Info("l7 proxy has another shape", "model", want.Model, "pid", p.PID())
			return link, nil
		}
		if err == nil {
			link.Close() // the old master, about to close its door
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("take over l7 proxy of another shape: no answer at %s within %s", p.options.Socket, startTimeout)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}
