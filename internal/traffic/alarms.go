package traffic

// alarms say whom to wake when, to the nanosecond, which loop.Pace keeps: a
// loop's own timers count in ticks of 17 ms. It is a heap.
type alarms[T any] struct{ heap []alarm[T] }

type alarm[T any] struct {
	at  int64
	who T
}

func (a *alarms[T]) add(at int64, who T) {
	a.heap = append(a.heap, alarm[T]{at, who})
	for i := len(a.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if a.heap[up].at <= a.heap[i].at {
			return
		}
		a.heap[up], a.heap[i] = a.heap[i], a.heap[up]
		i = up
	}
}

// next returns when somebody is to be woken, and whether anybody is.
func (a *alarms[T]) next() (int64, bool) {
	if len(a.heap) == 0 {
		return 0, false
	}
	return a.heap[0].at, true
}

// pop takes the one that is to be woken next; there must be one.
func (a *alarms[T]) pop() T {
	who, last := a.heap[0].who, len(a.heap)-1
	a.heap[0] = a.heap[last]
	a.heap[last] = alarm[T]{}
	a.heap = a.heap[:last]
	for i := 0; ; {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < last && a.heap[child].at < a.heap[least].at {
				least = child
			}
		}
		if least == i {
			return who
		}
		a.heap[i], a.heap[least] = a.heap[least], a.heap[i]
		i = least
	}
}
