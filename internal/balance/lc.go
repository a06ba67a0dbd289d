package balance

import (
	"sync/atomic"

	"lbctl/internal/lb"
)

// Least connections. Kernel: net/netfilter/ipvs/ip_vs_lc.c, and for wlc
// ip_vs_wlc.c (see wlc.go).
//
// The backend with the fewest in flight is chosen; weights are ignored, save
// that 0 takes nothing new. Among equals the kernel takes the first, so that an
// idle service sends everything to one backend; here the scan starts where round
// robin stands, so equals share evenly, as they do in nginx and HAProxy.
type leastLoaded struct {
	backends []weighted
	load     Load
	starts   []uint32 // one period of rr or wrr: where the scan starts
	next     atomic.Uint64
}

type weighted struct {
	id     lb.BackendID
	weight uint64
}

func newLeastLoaded(policy lb.Policy, backends []lb.Backend, load Load) (*leastLoaded, error) {
	ties := lb.RoundRobin
	if policy == lb.WeightedLeastConn {
		ties = lb.WeightedRoundRobin
	}
	table, err := Table(ties, backends, DefaultSize)
	if err != nil {
		return nil, err
	}
	l := &leastLoaded{load: load, starts: make([]uint32, len(table))}
	index := map[lb.BackendID]uint32{}
	for i, b := range eligible(backends) {
		index[b.ID] = uint32(i)
		l.backends = append(l.backends, weighted{b.ID, scanWeight(policy, b)})
	}
	for i, id := range table {
		l.starts[i] = index[id]
	}
	return l, nil
}

func (l *leastLoaded) Pick(Key) (lb.BackendID, bool) {
	if len(l.backends) == 0 {
		return 0, false
	}
	turn := l.next.Add(1) - 1
	best := int(l.starts[turn%uint64(len(l.starts))])
	bestLoad := l.inFlight(best)
	for i, n := best+1, len(l.backends); n > 1; i, n = i+1, n-1 {
		if i == len(l.backends) {
			i = 0
		}
		load := l.inFlight(i)
		if load*l.backends[best].weight < bestLoad*l.backends[i].weight {
			best, bestLoad = i, load
		}
	}
	return l.backends[best].id, true
}

// inFlight is capped at 2^32-1 so that its product with a weight fits 64 bits.
func (l *leastLoaded) inFlight(i int) uint64 {
	return min(l.load(l.backends[i].id), 1<<32-1)
}
