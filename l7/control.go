package l7

import (
	"encoding/json"
	"errors"
	"net/http"

	"lbctl/internal/lb"
)

// The control endpoint, spoken between a Plane and the proxy process:
//
//	PUT /v1/snapshot   lb.Snapshot -> 204 when applied whole; 422 and the reason as text
//	GET /v1/snapshot   the one in force
//	GET /v1/stats      lb.Stats
//	GET /v1/workers    Workers
//	PUT /v1/shape      Shape -> 204 when a master of it has taken over; 422 or 503 and the reason as text
//	POST /v1/reopen    reopens the logs -> 204; 500 and the reason as text
//	GET /v1/watch      processInfo; then an lb.Ejection for each, until the process dies
const (
	pathSnapshot = "/v1/snapshot"
	pathStats    = "/v1/stats"
	pathWorkers  = "/v1/workers"
	pathShape    = "/v1/shape"
	pathReopen   = "/v1/reopen"
	pathWatch    = "/v1/watch"
)

// maxSnapshot bounds a snapshot's JSON; 10,000 backends take about 2 MiB.
const maxSnapshot = 64 << 20

// processInfo says who answers at the socket.
type processInfo struct {
	PID   int    `json:"pid"`
	Shape Shape  `json:"shape"`
	Loop  string `json:"loop,omitempty"` // see Workers
}

func controlHandler(p *master) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathWorkers, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, p.workers.report())
	})
	mux.HandleFunc("PUT "+pathSnapshot, p.putSnapshot)
	mux.HandleFunc("GET "+pathSnapshot, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, p.current.Load().Snapshot)
	})
	mux.HandleFunc("GET "+pathStats, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, p.stats())
	})
	mux.HandleFunc("POST "+pathReopen, func(w http.ResponseWriter, r *http.Request) {
		if err := p.reopen(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET "+pathWatch, p.serveWatch)
	return mux
}

func (p *master) putSnapshot(w http.ResponseWriter, r *http.Request) {
	var s lb.Snapshot
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSnapshot)).Decode(&s); err != nil {
		http.Error(w, "read snapshot: "+err.Error(), http.StatusBadRequest)
		return
	}
	if err := p.apply(s); err != nil {
		status := http.StatusUnprocessableEntity
		if errors.Is(err, errStopping) {
			status = http.StatusServiceUnavailable
		}
		p.log.Warn("snapshot refused", "revision", s.Revision, "reason", err)
		http.Error(w, err.Error(), status)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// writeJSON cannot answer an error any more: the client sees half a document.
func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
