package l7

import (
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/proxy"
	"lbctl/internal/rawsock"
)

// focus is how long a thread listens to nobody but the connection that is to speak next:
// to wait in recv(2) is one call where poll(2) and a receive are two. Then it hears
// everybody again. What comes from elsewhere is noticed so much later, or up to twice
// that, for it may come to a receive that begins at the end of the time.
const focus = 20 * time.Millisecond

// speaker is the socket that the thread can wait for alone, for wait nanoseconds nothing
// expires; nil: there is none.
func (t *thread) speaker(wait int64) *socket {
	if wait >= 0 && wait < int64(focus) || t.now-t.heard >= int64(focus) || t.now-t.looked >= lookEvery || t.client == nil || t.bell.rung.Load() {
		return nil
	}
	k, ok := t.client.side.(*proxy.ClientConn)
	if !ok {
		return nil
	}
	for _, s := range t.sockets {
		if len(s.out) > 0 || s.connecting {
			return nil
		}
	}
	s, ok := k.Speaker().(*socket)
	if !ok || !s.blocks || s.events() == 0 {
		return nil
	}
	return s
}

// await handles what comes, or that nothing does for the time being.
func (s *socket) await() {
	t := s.thread
	room := s.room()
	n, err := rawsock.Await(s.fd, room)
	t.tick()
	switch {
	case err == unix.EAGAIN:
		t.heard = 0
	case err == 0 && s == t.client:
		t.heard = t.now
	}
	s.received(room, n, err)
}

// patient makes s one that can be waited for alone.
func (s *socket) patient() { s.block(rawsock.SetPatience(s.fd, focus) == 0) }

// block says whether s can be waited for alone. If not, it can be spliced.
func (s *socket) block(on bool) {
	if s.blocks != on && !s.closed && rawsock.Block(s.fd, on) == 0 {
		s.blocks = on
	}
}
