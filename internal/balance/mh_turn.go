package balance

import (
	"net/netip"

	"lbctl/internal/lb"
)

// turn is a backend while a Maglev table is filled.
type turn struct {
	id     lb.BackendID
	addr   netip.AddrPort
	weight uint64
	taken  uint64 // turns taken so far; the next one is at time taken/weight
	rank   int    // order among turns at the same time
	slot   uint64 // first slot on the preference list not yet looked at
	skip   uint64 // 1 … size-1, so it generates every slot of a prime size
}

func (t *turn) advance(size uint64) { t.slot = (t.slot + t.skip) % size }

// turnQueue is a heap (container/heap) of turns by time.
type turnQueue []*turn

func (q turnQueue) Len() int { return len(q) }

// Less compares taken/weight without dividing: taken is at most a table's size
// and a weight below 2^32, so the products fit 64 bits.
func (q turnQueue) Less(i, j int) bool {
	a, b := q[i].taken*q[j].weight, q[j].taken*q[i].weight
	if a != b {
		return a < b
	}
	return q[i].rank < q[j].rank
}

func (q turnQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push and Pop complete heap.Interface; the queue keeps its length.
func (q *turnQueue) Push(x any) { *q = append(*q, x.(*turn)) }

// Pop removes the last element.
func (q *turnQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
