package traffic

// fifo is a queue in a ring that grows. The zero value is empty.
type fifo[T any] struct {
	ring  []T // as long as a power of two
	first int
	n     int
}

func (q *fifo[T]) len() int { return q.n }

func (q *fifo[T]) push(v T) {
	if q.n == len(q.ring) {
		bigger := make([]T, max(8, 2*q.n))
		copy(bigger[copy(bigger, q.ring[q.first:]):], q.ring[:q.first])
		q.ring, q.first = bigger, 0
	}
	q.ring[(q.first+q.n)&(len(q.ring)-1)] = v
	q.n++
}

// pop takes the oldest; there must be one.
func (q *fifo[T]) pop() T {
	v := q.ring[q.first]
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.n--
	return v
}
