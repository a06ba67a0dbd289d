package proxy

// list is a doubly linked list of connections, linked through themselves, so
// that one that ends leaves it without a search.
type list[T any] struct {
	first *link[T]
	n     int
}

type link[T any] struct {
	of         *T
	next, prev *link[T]
}

func (l *list[T]) add(k *link[T], of *T) {
	k.of, k.next, k.prev = of, l.first, nil
	if l.first != nil {
		l.first.prev = k
	}
	l.first = k
	l.n++
}

func (l *list[T]) remove(k *link[T]) {
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		l.first = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	}
	k.next, k.prev = nil, nil
	l.n--
}

// each calls f for every member; f may remove the one it is given.
func (l *list[T]) each(f func(*T)) {
	for k := l.first; k != nil; {
		next := k.next
		f(k.of)
		k = next
	}
}
