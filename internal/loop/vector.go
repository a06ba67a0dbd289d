package loop

import "lbctl/internal/rawsock"

// fill has v offer what is queued in q and then bs, as far as there is room.
func fill(v *rawsock.Vector, q *queue, bs [][]byte) {
	v.Reset()
	for b := q.head; b != nil; b = b.next {
		if !v.Add(b.b[b.r:b.w]) {
			return
		}
	}
	for _, b := range bs {
		if !v.Add(b) {
			return
		}
	}
}
