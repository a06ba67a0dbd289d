package flowsync

import (
	"cmp"
	"time"

	"lbctl/internal/lb"
)

// Policy says which flows are told of and when. Beside each setting stands the
// kernel's for the same (Documentation/networking/ipvs-sysctl.rst).
type Policy struct {
	Opening bool          `json:"opening,omitempty"` // also flows of which only a SYN was seen; sync_threshold 0 instead of 3
	Batch   time.Duration `json:"batch"`             // longest that a flow waits for others; the kernel sends after 2 s at the latest; 0: 100 ms
	Refresh time.Duration `json:"refresh"`           // between two tellings of a flow that goes on as it is; sync_refresh_period; 0: 10 s
}

func (p Policy) filled() Policy {
	p.Batch = cmp.Or(p.Batch, 100*time.Millisecond)
	p.Refresh = cmp.Or(p.Refresh, 10*time.Second)
	return p
}

// States are those that flows come into to be told of.
func (p Policy) States() []lb.FlowState {
	states := []lb.FlowState{
		lb.FlowEstablished, lb.FlowFinWait, lb.FlowCloseWait, lb.FlowTimeWait, lb.FlowClosed, lb.FlowDatagrams,
	}
	if p.Opening {
		states = append(states, lb.FlowSynReceived)
	}
	return states
}
