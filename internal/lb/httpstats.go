package lb

import "maps"

// HTTPStats is what L7 counts of a service's requests, or of a backend's, beyond
// Counters. A backend's are those that it answered.
type HTTPStats struct {
	FirstByte Latency        `json:"first_byte"` // until the head of the answer; of a service from the request's head on, of a backend from when it was chosen
	Whole     Latency        `json:"whole"`      // until the end of the answer; tunnels are not among them
	Status    map[int]uint64 `json:"status"`     // by status code; 499: the client left before it was told one; 444: the proxy cut it off before

	ClientGone uint64 `json:"client_gone"` // clients that left before they had their answer
	Broken     uint64 `json:"broken"`      // of a service answers, of a backend attempts, that failed for the backend's sake
	TimedOut   uint64 `json:"timed_out"`   // likewise, since somebody was too slow
	Removed    uint64 `json:"removed"`     // requests and tunnels that the proxy cut off itself, for the service had gone or their time to finish was over
	Ejections  uint64 `json:"ejections"`
	Unlogged   uint64 `json:"unlogged"` // lines that the access log had no room for
	Queued     uint64 `json:"queued"`   // requests that wait for a backend now
}

// Class adds up the status codes of a class: those from 200 to 299 for 2.
func (h *HTTPStats) Class(class int) (n uint64) {
	if h == nil {
		return 0
	}
	for code, count := range h.Status {
		if code/100 == class {
			n += count
		}
	}
	return n
}

// Add returns the totals of both, and the level of h. Either may be nil.
func (h *HTTPStats) Add(other *HTTPStats) *HTTPStats {
	switch {
	case h == nil:
		return other
	case other == nil:
		return h
	}
	out := *h
	out.FirstByte, out.Whole, out.Status = h.FirstByte.Add(other.FirstByte), h.Whole.Add(other.Whole), maps.Clone(h.Status)
	if out.Status == nil {
		out.Status = map[int]uint64{}
	}
	for code, n := range other.Status {
		out.Status[code] += n
	}
	out.ClientGone += other.ClientGone
	out.Broken += other.Broken
	out.TimedOut += other.TimedOut
	out.Removed += other.Removed
	out.Ejections += other.Ejections
	out.Unlogged += other.Unlogged
	return &out
}
