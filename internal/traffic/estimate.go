package traffic

import "time"

// estimate foretells the time left: what the plan says of the runs to come,
// plus the overhead that each run so far had on top of its plan.
type estimate struct {
	started time.Time
	until   []time.Duration // planned time of the runs before i
}

func newEstimate(turns []turn) estimate {
	e := estimate{started: time.Now(), until: []time.Duration{0}}
	for i, t := range turns {
		e.until = append(e.until, e.until[i]+t.workload.Warmup+t.workload.Duration)
	}
	return e
}

func (e estimate) left(done int) time.Duration {
	total := len(e.until) - 1
	left := e.until[total] - e.until[done]
	if done > 0 {
		over := max(time.Since(e.started)-e.until[done], 0) / time.Duration(done)
		left += over * time.Duration(total-done)
	}
	return left
}
