package l4

import (
	"fmt"
	"math"

	"lbctl/internal/ipvs"
	"lbctl/internal/lb"
)

// policies are those of bpf/schedule.h.
var policies = map[lb.Policy]xdpPolicy{
	lb.RoundRobin:         xdpPolicyRR,
	lb.WeightedRoundRobin: xdpPolicyWRR,
	lb.LeastConn:          xdpPolicyLC,
	lb.WeightedLeastConn:  xdpPolicyWLC,
	lb.LocalityLeastConn:  xdpPolicyLBLC,
	lb.LocalityReplicated: xdpPolicyLBLCR,
	lb.DestinationHash:    xdpPolicyDH,
	lb.SourceHash:         xdpPolicySH,
	lb.Maglev:             xdpPolicyMH,
	lb.ShortestDelay:      xdpPolicySED,
	lb.NeverQueue:         xdpPolicyNQ,
	lb.Failover:           xdpPolicyFO,
	lb.Overflow:           xdpPolicyOVF,
	lb.TwoChoices:         xdpPolicyTWOS,
}

// buckets is what a policy's table is made of, if not of members: the name of
// the scheduler in internal/ipvs.
var buckets = map[xdpPolicy]string{xdpPolicyDH: "dh", xdpPolicySH: "sh", xdpPolicyMH: "mh"}

// validateSchedule reports what of policy, weights and thresholds the kernel
// would not take either.
func validateSchedule(v lb.Service) error {
	hashes := v.Policy == lb.SourceHash || v.Policy == lb.Maglev
	switch {
	case v.L4.Ports && !hashes:
		return fmt.Errorf("policy %q hashes no port: want sh or mh for ports", v.Policy)
	case v.L4.Fallback && !hashes:
		return fmt.Errorf("policy %q has no fallback: want sh or mh", v.Policy)
	case v.Policy == lb.Maglev && len(v.Backends) > ipvs.MaxMembers:
		return fmt.Errorf("policy %q with %d backends: want at most %d", v.Policy, len(v.Backends), ipvs.MaxMembers)
	}
	for _, b := range v.Backends {
		switch {
		case b.Weight > math.MaxInt32:
			return fmt.Errorf("backend %q: weight %d: want at most %d", b.Name, b.Weight, math.MaxInt32)
		case b.Upper > math.MaxInt32:
			return fmt.Errorf("backend %q: upper threshold %d: want at most %d", b.Name, b.Upper, math.MaxInt32)
		case b.Lower > b.Upper:
			return fmt.Errorf("backend %q: lower threshold %d is above the upper one, %d", b.Name, b.Lower, b.Upper)
		case b.MaxConn != 0 || b.Backup:
			return fmt.Errorf("backend %q: max_conn and backup are for l7", b.Name)
		}
	}
	return nil
}

// members are the backends that the policy sees, in the kernel's order, the
// newest first. One that is draining, down or out of reach is none, as if it had
// been deleted; one of weight 0 is, and under dh, sh and mh refuses whom it meets.
func (w *wanted) members() []lb.Backend {
	var out []lb.Backend
	for i := len(w.Backends) - 1; i >= 0; i-- {
		if w.isMember(w.Backends[i]) {
			out = append(out, w.Backends[i])
		}
	}
	return out
}

func (w *wanted) isMember(b lb.Backend) bool {
	_, known := w.hops[b.ID]
	return b.Health == lb.Up && b.Admin == lb.Enabled && (known || b.Weight == 0)
}
