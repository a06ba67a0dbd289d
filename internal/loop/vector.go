package loop

import "golang.org/x/sys/unix"

// vector is what one sendmsg offers the kernel. The pointers in it are seen by
// the collector.
type vector struct {
	iov   [64]unix.Iovec
	msg   unix.Msghdr
	n     int
	bytes int
}

// fill takes what is queued in q and then bs, as far as it has room.
func (v *vector) fill(q *queue, bs [][]byte) {
	v.n, v.bytes = 0, 0
	for b := q.head; b != nil && v.n < len(v.iov); b = b.next {
		v.add(b.b[b.r:b.w])
	}
	for i := 0; i < len(bs) && v.n < len(v.iov); i++ {
		if len(bs[i]) > 0 {
			v.add(bs[i])
		}
	}
}

func (v *vector) add(b []byte) {
	v.iov[v.n].Base = &b[0]
	v.iov[v.n].SetLen(len(b))
	v.n++
	v.bytes += len(b)
}
