package l7

import (
	"golang.org/x/sys/unix"

	"lbctl/internal/proxy"
	"lbctl/internal/rawsock"
	"lbctl/internal/splice"
)

// Bulk implements proxy.Conn.
func (s *socket) Bulk(on bool) {
	if s.bulk = on && s.thread.pipe.Open(); s.bulk {
		s.block(false)
	} else if !s.blocks {
		s.patient()
	}
}

// Forward implements proxy.Driver.
func (t *thread) Forward(from, to proxy.Conn, bs [][]byte, n uint64) uint64 {
	f, s := from.(*socket), to.(*socket)
	switch {
	case !f.bulk, f.err != nil, f.closed, f.paused, s.mute(), s.connecting, len(s.out) > 0:
		s.WriteBuffers(bs)
		return 0
	case n < splice.Least:
		return t.carry(f, s, bs, n)
	}
	s.block(false)
	if f.blocks || s.blocks {
		s.WriteBuffers(bs)
		return 0
	}
	got, err := t.pipe.In(f.fd, n)
	if got == 0 {
		if f.bulk = t.pipe.Open(); f.bulk {
			f.failed(err)
		}
		s.WriteBuffers(bs)
		return 0
	}
	s.writePieces(bs, unix.MSG_MORE)
	left := got
	for left > 0 && len(s.out) == 0 && s.err == nil {
		n, err := t.pipe.Out(s.fd, left)
		left -= n
		if s.failed(err) || err != 0 {
			break
		}
	}
	if left > 0 {
		t.empty(s)
	}
	return uint64(got)
}

// carry is Forward of few bytes, by a copy into what Data has not used of the scratch.
func (t *thread) carry(from, to *socket, bs [][]byte, n uint64) uint64 {
	room := t.scratch[t.used:]
	if room = room[:min(n, uint64(len(room)))]; len(room) == 0 {
		to.WriteBuffers(bs)
		return 0
	}
	got, err := rawsock.Receive(from.fd, room)
	from.failed(err)
	t.pair = append(append(t.pair[:0], bs...), room[:got])
	to.WriteBuffers(t.pair)
	clear(t.pair)
	return uint64(got)
}

// empty makes what is left in the pipe wait until s's peer takes it.
func (t *thread) empty(s *socket) {
	rest := t.scratch // whose bytes have been sent
	for n := t.pipe.Read(rest); n > 0; n = t.pipe.Read(rest) {
		if s.err == nil {
			s.out = append(s.out, rest[:n]...)
		}
	}
}
