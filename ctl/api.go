package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/mux"
)

// bodyLimit bounds a request's body. A configuration of 10,000 backends takes 2 MB.
const bodyLimit = 16 << 20

// bodyTimeout is how long a client may take to send it.
const bodyTimeout = 30 * time.Second

// route is one line of the API.
type route struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Summary string `json:"summary"`
	handle  handler
}

// handler answers a request, or returns an error for the caller to answer with.
type handler func(http.ResponseWriter, *http.Request) error

// api serves a Controller.
type api struct {
	controller *Controller
	shutdown   func() // ends the daemon
	router     *mux.Router
	prometheus http.Handler
}

// routes is the API, whole. GET /v1 prints it.
func (a *api) routes() []route {
	return []route{
		{"GET", "/v1", "this list", a.list},
		{"GET", "/v1/version", "who answers", a.version},
		{"GET", "/v1/status", "planes, services, backends, health and counters", a.status},
		{"GET", "/v1/services", "the services of the status", a.services},
		{"GET", "/v1/stats", "the planes' own counters", a.stats},
		{"GET", "/v1/workers", "what the processes and threads of the l7 planes do, and how the last ones ended", a.workers},
		{"GET", "/metrics", "the same, health and more, as text for Prometheus", a.metrics},
		{"GET", "/v1/config", "the desired configuration; its ETag goes with If-Match", a.config},
		{"PUT", "/v1/config", "replace the desired configuration; answers with the changes", a.configure},
		{"PATCH", "/v1/services/{service}/backends/{backend}", "set a backend's admin state or weight", a.setBackend},
		{"GET", "/v1/flows", "what the l4 plane remembers, as lines of JSON; ?service=, ?node= of two balancers, ?limit=N", a.flows},
		{"GET", "/v1/timeouts", "after how long without a packet a flow is over", a.timeouts},
		{"PATCH", "/v1/timeouts", "set some of these timeouts", a.setTimeouts},
		{"POST", "/v1/failover", "make the other of two balancers active", a.failover},
		{"GET", "/v1/events", "events as lines of JSON; ?since=N after that one, ?follow=false ends with the last", a.eventStream},
		{"POST", "/v1/wait", "wait until the planes have applied a revision and checks have judged", a.wait},
		{"POST", "/v1/shutdown", "end the daemon; forwarding goes on", a.end},
	}
}

// newAPI returns the handler of the API.
func newAPI(c *Controller, shutdown func()) http.Handler {
	a := &api{controller: c, shutdown: shutdown, router: mux.NewRouter().UseEncodedPath(), prometheus: newMetrics(c)}
	for _, r := range a.routes() {
		a.router.HandleFunc(r.Path, r.handle.ServeHTTP).Methods(r.Method)
	}
	a.router.NotFoundHandler = handler(a.unknownPath)
	a.router.MethodNotAllowedHandler = handler(a.unknownMethod)
	return a.router
}

// ServeHTTP answers errors with problem+json.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	if err := h(w, r); err != nil {
		writeProblem(w, asProblem(err))
	}
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that is gone needs no answer
}

func write(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // as above; our own types do encode
	return nil
}

// read decodes a request's body, which must be one JSON value without unknown
// fields. Its deadline stands in for http.Server.ReadTimeout, which would also
// end the contexts of requests that rightly take long.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(bodyTimeout))
	err := decodeStrict(r.Body, into)
	_ = conn.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return problem(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", large.Limit)
	case errors.Is(err, io.EOF):
		return problem(http.StatusBadRequest, "the body is empty")
	}
	return problem(http.StatusBadRequest, "decode body: %s", err)
}

func (a *api) unknownPath(_ http.ResponseWriter, r *http.Request) error {
	var paths []string
	for _, route := range a.routes() {
		paths = append(paths, route.Path)
	}
	p := notFound("path", r.URL.Path, "", paths)
	p.Detail = fmt.Sprintf("there is no path %q; GET /v1 lists what there is", r.URL.Path)
	return p
}

func (a *api) unknownMethod(w http.ResponseWriter, r *http.Request) error {
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodPost} {
		var match mux.RouteMatch
		probe := r.Clone(r.Context())
		probe.Method = method
		if a.router.Match(probe, &match) && match.MatchErr == nil {
			w.Header().Add("Allow", method)
		}
	}
	return problem(http.StatusMethodNotAllowed, "%s does not take %s", r.URL.Path, r.Method)
}
