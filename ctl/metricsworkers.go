package ctl

import "lbctl/l7"

// Each has the model, so that what a model costs for a request is a quotient of two of
// them. They begin anew with the master.
var (
	l7Info           = gauge("l7_info", "How the proxy works: its model and, of model loop, what its event loops hear of events by; always 1.", "node", "model", "events")
	l7Generation     = gauge("l7_worker_generation", "Generation of worker processes; a reload begins the next.", "node", "model")
	l7Processes      = gauge("l7_worker_processes", "Worker processes by how far their lives are.", "node", "model", "state")
	l7Starts         = counter("l7_worker_starts_total", "Worker processes that the master has started.", "node", "model")
	l7Deaths         = counter("l7_worker_deaths_total", "Worker processes that ended though nobody told them to; each is replaced.", "node", "model")
	l7CPU            = counter("l7_cpu_seconds_total", "CPU time of the proxy's processes, of those that have ended, too.", "node", "model", "process")
	l7WorkerRequests = counter("l7_worker_requests_total", "Requests of all services that are over.", "node", "model")
	l7WorkerBytes    = counter("l7_worker_bytes_total", "Bytes of these requests and their answers; in is from the client.", "node", "model", "direction")
)

// workers puts what the processes of an l7 plane do.
func (s sink) workers(w PlaneWorkers) {
	model := string(w.Shape.Model)
	s.put(l7Info, 1, w.Node, model, w.Events)
	s.count(l7Generation, w.Generation, w.Node, model)
	processes := map[string]int{}
	for _, p := range w.Processes {
		processes[p.State]++
	}
	for _, state := range l7.ProcessStates {
		s.put(l7Processes, float64(processes[state]), w.Node, model, state)
	}
	s.count(l7Starts, w.Started, w.Node, model)
	s.count(l7Deaths, w.Died, w.Node, model)
	s.put(l7CPU, w.MasterCPU.Seconds(), w.Node, model, "master")
	s.put(l7CPU, w.CPU.Seconds(), w.Node, model, "worker")
	s.count(l7WorkerRequests, w.Requests, w.Node, model)
	s.count(l7WorkerBytes, w.BytesIn, w.Node, model, "in")
	s.count(l7WorkerBytes, w.BytesOut, w.Node, model, "out")
}
