package ctl

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"lbctl/internal/lb"
)

// eventWriteTimeout is how long a reader of events may take to take in a batch.
const eventWriteTimeout = 10 * time.Second

func (a *api) list(w http.ResponseWriter, _ *http.Request) error { return write(w, a.routes()) }

func (a *api) version(w http.ResponseWriter, _ *http.Request) error {
	return write(w, a.controller.Version())
}

func (a *api) status(w http.ResponseWriter, r *http.Request) error {
	return write(w, a.controller.Status(r.Context()))
}

func (a *api) services(w http.ResponseWriter, r *http.Request) error {
	return write(w, a.controller.Status(r.Context()).Services)
}

func (a *api) stats(w http.ResponseWriter, r *http.Request) error {
	return write(w, a.controller.Stats(r.Context()))
}

func (a *api) metrics(w http.ResponseWriter, r *http.Request) error {
	a.prometheus.ServeHTTP(w, r)
	return nil
}

func (a *api) config(w http.ResponseWriter, _ *http.Request) error {
	config, tag := a.controller.Config()
	w.Header().Set("ETag", tag)
	return write(w, config)
}

func (a *api) configure(w http.ResponseWriter, r *http.Request) error {
	var config lb.Config
	if err := read(w, r, &config); err != nil {
		return err
	}
	tag := r.Header.Get("If-Match")
	if tag == "*" { // there always is a configuration
		tag = ""
	}
	result, err := a.controller.Configure(r.Context(), config, tag)
	if err != nil {
		return err
	}
	if result.Changes == nil {
		result.Changes = []Change{}
	}
	return write(w, result)
}

func (a *api) setBackend(w http.ResponseWriter, r *http.Request) error {
	var patch BackendPatch
	if err := read(w, r, &patch); err != nil {
		return err
	}
	if patch == (BackendPatch{}) {
		return problem(http.StatusUnprocessableEntity, "nothing to change: want admin, weight or both")
	}
	service, err1 := url.PathUnescape(mux.Vars(r)["service"])
	backend, err2 := url.PathUnescape(mux.Vars(r)["backend"])
	if err := cmp.Or(err1, err2); err != nil {
		return problem(http.StatusBadRequest, "decode path: %s", err)
	}
	revision, err := a.controller.SetBackend(r.Context(), service, backend, patch)
	if err != nil {
		return err
	}
	return write(w, Revised{Revision: revision})
}

func (a *api) timeouts(w http.ResponseWriter, _ *http.Request) error {
	return write(w, a.controller.Timeouts())
}

func (a *api) setTimeouts(w http.ResponseWriter, r *http.Request) error {
	var t lb.Timeouts
	if err := read(w, r, &t); err != nil {
		return err
	}
	revision, err := a.controller.SetTimeouts(r.Context(), t)
	if err != nil {
		return err
	}
	return write(w, Revised{Revision: revision})
}

func (a *api) wait(w http.ResponseWriter, r *http.Request) error {
	var req WaitRequest
	if err := read(w, r, &req); err != nil {
		return err
	}
	if err := a.controller.Wait(r.Context(), req); err != nil {
		return err
	}
	return write(w, a.controller.Status(r.Context()))
}

func (a *api) failover(w http.ResponseWriter, r *http.Request) error {
	var req FailoverRequest
	if err := read(w, r, &req); err != nil {
		return err
	}
	result, err := a.controller.Failover(r.Context(), req)
	if err != nil {
		return err
	}
	return write(w, result)
}

func (a *api) end(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusAccepted)
	a.shutdown()
	return nil
}

// eventStream writes each event as a line of JSON. A reader that does not take
// them in is left alone; it may come back with the last number it saw.
func (a *api) eventStream(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	since, err := strconv.ParseUint(cmp.Or(query.Get("since"), "0"), 10, 64)
	if err != nil {
		return problem(http.StatusBadRequest, "since=%s: want the number of an event", query.Get("since"))
	}
	follow, err := strconv.ParseBool(cmp.Or(query.Get("follow"), "true"))
	if err != nil {
		return problem(http.StatusBadRequest, "follow=%s: want true or false", query.Get("follow"))
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	stream := http.NewResponseController(w)
	_ = stream.Flush() // headers, before the first event happens
	lines := json.NewEncoder(w)
	err = a.controller.Follow(r.Context(), since, follow, func(events []Event) error {
		_ = stream.SetWriteDeadline(time.Now().Add(eventWriteTimeout))
		for _, e := range events {
			if err := lines.Encode(e); err != nil {
				return err
			}
		}
		return stream.Flush()
	})
	if err == nil {
		_ = stream.SetWriteDeadline(time.Time{}) // the connection may serve other requests yet
	}
	return nil // the answer has begun; an error now can only end it
}
