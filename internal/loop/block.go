package loop

// block holds bytes that the kernel has not taken yet: those from r to w.
type block struct {
	next *block
	b    []byte
	r, w int
}

// Sizes of blocks. Most of what waits is a head or a short answer.
const (
	smallBlock = 2 << 10
	largeBlock = 32 << 10
)

// queue is a list of n bytes in blocks.
type queue struct {
	head, tail *block
	n          int
}

// blocks is a loop's store of unused blocks.
type blocks struct{ small, large shelf }

// shelf holds n blocks of one size. Of them low were not needed since the last trim.
type shelf struct {
	top    *block
	n, low int
}

func (s *shelf) get(size int) *block {
	b := s.top
	if b == nil {
		return &block{b: make([]byte, size)}
	}
	s.top, b.next = b.next, nil
	s.n--
	s.low = min(s.low, s.n)
	b.r, b.w = 0, 0
	return b
}

func (s *shelf) put(b *block) {
	b.next, s.top = s.top, b
	s.n++
}

// trim lets the collector have half of what was not needed since the last time,
// so that a peak is forgotten in a few turns and a steady load allocates nothing.
func (s *shelf) trim() {
	for range (s.low + 1) / 2 {
		s.top = s.top.next
		s.n--
	}
	s.low = s.n
}

func (p *blocks) get(size int) *block {
	if size <= smallBlock {
		return p.small.get(smallBlock)
	}
	return p.large.get(largeBlock)
}

func (p *blocks) put(b *block) {
	if len(b.b) == smallBlock {
		p.small.put(b)
	} else {
		p.large.put(b)
	}
}

// append copies b to the end of q.
func (p *blocks) append(q *queue, b []byte) {
	for len(b) > 0 {
		if q.tail == nil || q.tail.w == len(q.tail.b) {
			added := p.get(len(b))
			q.add(added)
		}
		n := copy(q.tail.b[q.tail.w:], b)
		q.tail.w += n
		q.n += n
		b = b[n:]
	}
}

// add puts a block at the end of q.
func (q *queue) add(b *block) {
	if q.tail == nil {
		q.head = b
	} else {
		q.tail.next = b
	}
	q.tail = b
	q.n += b.w - b.r
}

// consume takes n bytes, at most all of them, from the front of q.
func (p *blocks) consume(q *queue, n int) {
	q.n -= n
	for n > 0 {
		b := q.head
		m := min(n, b.w-b.r)
		b.r += m
		n -= m
		if b.r == b.w {
			p.put(p.pop(q))
		}
	}
}

// pop takes the first block off q.
func (p *blocks) pop(q *queue) *block {
	b := q.head
	q.n -= b.w - b.r
	if q.head = b.next; q.head == nil {
		q.tail = nil
	}
	b.next = nil
	return b
}

func (p *blocks) drop(q *queue) { p.consume(q, q.n) }
