package loop

import "math/bits"

// A wheel of one level. What is due beyond its horizon of 8.6 s is looked at
// there and put in again. So is what was put off meanwhile: moving a deadline
// away, which happens with each request, just stores a number.
const (
	tickShift = 24 // a tick is 16.8 ms
	slots     = 512
)

// alarm is due at a time, 0 for never, and looked at when the wheel reaches its
// tick, which is 0 iff it is not in the wheel. It belongs to c, or calls f.
type alarm struct {
	prev, next *alarm
	due, tick  int64
	c          *Conn
	f          func()
}

type wheel struct {
	turned int64 // the tick up to which it has been turned
	used   [slots / 64]uint64
	slot   [slots]*alarm
}

// set makes a due. Only a time before the one that it will be looked at moves it.
func (w *wheel) set(a *alarm, due int64) {
	a.due = due
	tick := due>>tickShift + 1 // its beginning is after due: never early
	if a.tick != 0 {
		if a.tick <= tick {
			return
		}
		w.remove(a)
	}
	w.insert(a, tick)
}

func (w *wheel) insert(a *alarm, tick int64) {
	a.tick = min(max(tick, w.turned+1), w.turned+slots-1)
	i := a.tick % slots
	a.prev, a.next = nil, w.slot[i]
	if a.next != nil {
		a.next.prev = a
	}
	w.slot[i] = a
	w.used[i/64] |= 1 << (i % 64)
}

func (w *wheel) remove(a *alarm) {
	if a.tick == 0 {
		return
	}
	i := a.tick % slots
	if a.next != nil {
		a.next.prev = a.prev
	}
	if a.prev != nil {
		a.prev.next = a.next
	} else if w.slot[i] = a.next; a.next == nil {
		w.used[i/64] &^= 1 << (i % 64)
	}
	a.prev, a.next, a.tick = nil, nil, 0
}

// turn fires what is due.
func (w *wheel) turn(now int64) {
	to := now >> tickShift
	w.turned = max(w.turned, to-slots) // a slot need not be seen twice
	for w.turned < to {
		w.turned++
		for {
			a := w.slot[w.turned%slots]
			if a == nil {
				break
			}
			w.remove(a)
			switch {
			case a.due == 0:
			case a.due > now:
				w.insert(a, a.due>>tickShift+1)
			default:
				a.due = 0
				a.fire()
			}
		}
	}
}

func (a *alarm) fire() {
	if a.c != nil {
		a.c.h.Expired(a.c)
	} else {
		a.f()
	}
}

// next returns when something is to be looked at, -1 if there is nothing.
func (w *wheel) next() int64 {
	const words = int64(len(w.used))
	from := (w.turned + 1) % slots
	for i := range words + 1 {
		at := (from/64 + i) % words
		word := w.used[at]
		switch i {
		case 0:
			word &= ^uint64(0) << (from % 64)
		case words:
			word &= 1<<(from%64) - 1
		}
		if word != 0 {
			slot := at*64 + int64(bits.TrailingZeros64(word))
			return (w.turned + 1 + (slot-from+slots)%slots) << tickShift
		}
	}
	return -1
}
