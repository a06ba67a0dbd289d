package ctl

import (
	"time"

	"lbctl/internal/lb"
)

// bounds are those of the histograms: 33 µs, and twice as long each time, up to 69 s.
var bounds = func() (bounds []time.Duration) {
	for d := time.Duration(1 << 15); d <= 1<<36; d *= 2 {
		bounds = append(bounds, d)
	}
	return bounds
}()

// What clients see of a service, and what a backend does, have names of their own:
// a request that was tried at two backends would else be counted three times in a sum.
var (
	l7Requests    = counter("l7_requests_total", "Requests that are over, by the status that the client was told; 499: it left before; 444: the proxy cut it off before.", "service", "code")
	l7Whole       = histogram("l7_request_duration_seconds", "From a request's head to the end of its answer.", "service")
	l7FirstByte   = histogram("l7_first_byte_seconds", "From a request's head to the head of a backend's answer.", "service")
	l7Connections = counter("l7_connections_total", "Connections that clients made.", "service")
	l7Bytes       = counter("l7_bytes_total", "Bytes of clients' connections; in is from the client.", "service", "direction")
	l7Errors      = counter("l7_errors_total", "Answers that the proxy made up in a backend's place, or cut off.", "service")
	l7Retries     = counter("l7_retries_total", "Attempts at another backend.", "service")
	l7InFlight    = gauge("l7_in_flight_requests", "Requests that are being answered.", "service")
	l7Queued      = gauge("l7_queued_requests", "Requests that wait for a backend.", "service")
	l7ClientGone  = counter("l7_client_aborts_total", "Requests whose client left before it had its answer.", "service")
	l7Broken      = counter("l7_backend_aborts_total", "Requests that failed since a backend refused, or broke off.", "service")
	l7TimedOut    = counter("l7_timeouts_total", "Requests that failed since client or backend were too slow.", "service")
	l7Removed     = counter("l7_proxy_aborts_total", "Requests and tunnels that the proxy cut off, since the service had gone or their time to finish was over.", "service")
	l7Unlogged    = counter("l7_log_lines_dropped_total", "Lines that the access log had no room for.", "service")
	l7Workers     = gauge("l7_workers", "Workers by what they do.", "state")

	l7BackendRequests    = counter("l7_backend_requests_total", "Requests that the backend has answered.", "service", "backend", "code")
	l7BackendAttempts    = counter("l7_backend_attempts_total", "Requests that the backend was to answer.", "service", "backend")
	l7BackendWhole       = histogram("l7_backend_request_duration_seconds", "From the choice of the backend to the end of its answer.", "service", "backend")
	l7BackendFirstByte   = histogram("l7_backend_first_byte_seconds", "From the choice of the backend to the head of its answer.", "service", "backend")
	l7BackendConnections = counter("l7_backend_connections_total", "Connections made to the backend.", "service", "backend")
	l7BackendBytes       = counter("l7_backend_bytes_total", "Bytes of the backend's connections; in is towards it.", "service", "backend", "direction")
	l7BackendRetries     = counter("l7_backend_retries_total", "Attempts at the backend that were made again elsewhere.", "service", "backend")
	l7BackendFailures    = counter("l7_backend_failures_total", "Attempts at the backend that it refused or broke off.", "service", "backend")
	l7BackendTimeouts    = counter("l7_backend_timeouts_total", "Attempts at the backend that took too long.", "service", "backend")
	l7BackendEjections   = counter("l7_backend_ejections_total", "How often the backend was ejected for how it answered.", "service", "backend")
	l7BackendInFlight    = gauge("l7_backend_in_flight_requests", "Requests that the backend is to answer.", "service", "backend")
)

func (s sink) l7(stats lb.Stats) {
	for _, svc := range stats.Services {
		s.service(svc)
		for _, b := range svc.Backends {
			s.backend(svc.Name, b)
		}
	}
	for state, n := range stats.Workers {
		s.put(l7Workers, float64(n), state)
	}
}

func (s sink) service(svc lb.ServiceStats) {
	n, h := svc.Counters, svc.HTTP
	s.count(l7Connections, n.Connections, svc.Name)
	s.count(l7Bytes, n.BytesIn, svc.Name, "in")
	s.count(l7Bytes, n.BytesOut, svc.Name, "out")
	s.count(l7Errors, n.Errors, svc.Name)
	s.count(l7Retries, n.Retries, svc.Name)
	s.count(l7InFlight, n.Active, svc.Name)
	if h == nil {
		return
	}
	for status, count := range h.Status {
		s.count(l7Requests, count, svc.Name, code(status))
	}
	s.histogram(l7Whole, h.Whole, svc.Name)
	s.histogram(l7FirstByte, h.FirstByte, svc.Name)
	s.count(l7Queued, h.Queued, svc.Name)
	s.count(l7ClientGone, h.ClientGone, svc.Name)
	s.count(l7Broken, h.Broken, svc.Name)
	s.count(l7TimedOut, h.TimedOut, svc.Name)
	s.count(l7Removed, h.Removed, svc.Name)
	s.count(l7Unlogged, h.Unlogged, svc.Name)
}

func (s sink) backend(service string, b lb.BackendStats) {
	n, h := b.Counters, b.HTTP
	s.count(l7BackendAttempts, n.Requests, service, b.Name)
	s.count(l7BackendConnections, n.Connections, service, b.Name)
	s.count(l7BackendBytes, n.BytesIn, service, b.Name, "in")
	s.count(l7BackendBytes, n.BytesOut, service, b.Name, "out")
	s.count(l7BackendRetries, n.Retries, service, b.Name)
	s.count(l7BackendInFlight, n.Active, service, b.Name)
	if h == nil {
		return
	}
	for status, count := range h.Status {
		s.count(l7BackendRequests, count, service, b.Name, code(status))
	}
	s.histogram(l7BackendWhole, h.Whole, service, b.Name)
	s.histogram(l7BackendFirstByte, h.FirstByte, service, b.Name)
	s.count(l7BackendFailures, h.Broken, service, b.Name)
	s.count(l7BackendTimeouts, h.TimedOut, service, b.Name)
	s.count(l7BackendEjections, h.Ejections, service, b.Name)
}
