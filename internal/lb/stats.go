package lb

import "time"

// Stats is what a plane has counted since it was loaded. Counters only grow.
type Stats struct {
	Revision uint64         `json:"revision"` // of the last Snapshot applied whole
	Services []ServiceStats `json:"services"`
	Verdicts []Verdict      `json:"verdicts,omitempty"` // L4 only
	Run      RunTime        `json:"run,omitzero"`       // L4 only
	Flows    uint64         `json:"flows"`              // L4 only: connections of these services that are remembered

	FlowTables []FlowTable `json:"flow_tables,omitempty"` // L4 only

	Workers map[string]int `json:"workers,omitempty"` // L7 only: how many workers are in which state
}

// FlowTable is how full one of the tables is that flows are remembered in.
type FlowTable struct {
	Family  string `json:"family"`  // IPv4 or IPv6
	Entries uint64 `json:"entries"` // at the last look, about a second ago; nat takes two for a flow
	Size    uint64 `json:"size"`
	Expired uint64 `json:"expired"` // entries that were idle for too long, since the daemon began
}

// ServiceStats are the counters of one service.
type ServiceStats struct {
	Name     string         `json:"name"`
	Counters Counters       `json:"counters"`       // the service as a whole
	HTTP     *HTTPStats     `json:"http,omitempty"` // L7 only
	Backends []BackendStats `json:"backends"`
}

// BackendStats are the counters of one backend.
type BackendStats struct {
	ID       BackendID  `json:"id"`
	Name     string     `json:"name"`
	Counters Counters   `json:"counters"`
	HTTP     *HTTPStats `json:"http,omitempty"` // L7 only
}

// Counters are totals, except Active, Queued and Inactive, which are levels. A plane leaves at zero
// what it cannot see: L4 knows no requests, and under direct routing no replies. Zero ones are written
// all the same, so that a script need not tell zero from absent.
type Counters struct {
	Connections uint64 `json:"connections"` // new flows (L4), connections made to the backend (L7)
	Requests    uint64 `json:"requests"`    // L7
	PacketsIn   uint64 `json:"packets_in"`
	BytesIn     uint64 `json:"bytes_in"` // from clients: L4 with IP header, L7 heads and bodies
	PacketsOut  uint64 `json:"packets_out"`
	BytesOut    uint64 `json:"bytes_out"` // to clients
	Errors      uint64 `json:"errors"`    // L7: answers that the proxy had to make up (502, 503, 504)
	Retries     uint64 `json:"retries"`   // L7
	Active      uint64 `json:"active"`    // TCP flows not seen closing (L4), requests in flight (L7)
	Queued      uint64 `json:"queued"`    // L7: requests of the service that wait for a backend below its MaxConn
	Inactive    uint64 `json:"inactive"`  // L4: other flows that are remembered; all of UDP, as IPVS counts
	Sticky      uint64 `json:"sticky"`    // L4: clients that stick to the backend; IPVS's PersistConn
}

// Verdict is one named fate of a packet and how many met it.
type Verdict struct {
	Name    string `json:"name"`    // UPPER_SNAKE, as in bpf/verdicts.h
	Text    string `json:"text"`    // one sentence
	Packets uint64 `json:"packets"` // since load
}

// RunTime is the kernel's own account of the L4 programs; both stay at zero
// until run-time statistics are switched on.
type RunTime struct {
	Total time.Duration `json:"total"`
	Runs  uint64        `json:"runs"`
}

// SyncStats is what a balancer has told another one of its flows, and heard of
// that one's, since the daemon began.
type SyncStats struct {
	MessagesSent     uint64 `json:"messages_sent"`
	BytesSent        uint64 `json:"bytes_sent"`
	FlowsSent        uint64 `json:"flows_sent"`
	MessagesReceived uint64 `json:"messages_received"`
	BytesReceived    uint64 `json:"bytes_received"`
	FlowsReceived    uint64 `json:"flows_received"`
	Adopted          uint64 `json:"adopted"`   // of those received
	Unknown          uint64 `json:"unknown"`   // of a service or backend that is not here
	Refused          uint64 `json:"refused"`   // for want of room
	Malformed        uint64 `json:"malformed"` // messages
	Lost             uint64 `json:"lost"`      // changes that came faster than they were read; all is told again then
	Failed           uint64 `json:"failed"`    // flows that could not be sent
}
