package l7

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/proxy"
	"lbctl/internal/rawsock"
	"lbctl/internal/splice"
)

// side is who hears of a socket: a proxy.ClientConn or a proxy.BackendConn.
type side interface {
	Data([]byte)
	EOF()
	Drained()
	Expired()
	Closed(error)
}

// socket is a connection of a thread that waits for one of them in recv(2), or for all in poll(2). It
// implements proxy.Conn.
type socket struct {
	thread     *thread
	side       side
	made       func() // what a connection that is being made is for
	out        []byte // that the kernel has not taken
	due        int64  // the deadline; 0: none
	fd         int
	blocks     bool // it can be waited for by recv(2), and not be spliced; else it is in non-blocking mode
	connecting bool
	paused     bool
	ended      bool // the peer sends no more
	shut       bool // FIN follows out
	closing    bool // close follows out
	closed     bool
	bulk       bool  // Forward will be called in Data
	err        error // of a write; Closed follows
}

// closePatience is how long what is pending may take when a connection closes.
const closePatience = 30 * time.Second

// Write implements proxy.Conn.
func (s *socket) Write(b []byte) {
	if s.mute() || len(b) == 0 {
		return
	}
	if len(s.out) == 0 && !s.connecting {
		n, err := rawsock.Send(s.fd, b, 0)
		if s.failed(err) {
			return
		}
		b = b[n:]
	}
	s.out = append(s.out, b...)
}

// WriteBuffers implements proxy.Conn.
func (s *socket) WriteBuffers(bs [][]byte) {
	if !s.mute() {
		s.writePieces(bs, 0)
	}
}

// WriteLast implements proxy.Conn.
func (s *socket) WriteLast(bs [][]byte) {
	if !s.mute() {
		s.writePieces(bs, unix.MSG_MORE)
	}
}

// writePieces is WriteBuffers with flags of sendmsg.
func (s *socket) writePieces(bs [][]byte, how int) {
	sent := 0
	if len(s.out) == 0 && !s.connecting {
		n, err := s.thread.sendPieces(s.fd, bs, how)
		if s.failed(err) {
			return
		}
		sent = n
	}
	for _, b := range bs {
		skip := min(sent, len(b))
		sent -= skip
		s.out = append(s.out, b[skip:]...)
	}
}

// sendPieces offers as many of the first pieces as one call takes.
func (t *thread) sendPieces(fd int, pieces [][]byte, how int) (int, unix.Errno) {
	t.vector.Reset()
	for _, p := range pieces {
		if !t.vector.Add(p) {
			break
		}
	}
	if t.vector.Bytes == 0 {
		return 0, 0
	}
	return t.vector.Send(fd, how)
}

func (s *socket) mute() bool { return s.closed || s.closing || s.shut || s.err != nil }

// failed notes an error that is more than "not now".
func (s *socket) failed(err unix.Errno) bool {
	if err == 0 || err == unix.EAGAIN || err == unix.EINTR {
		return false
	}
	s.err, s.out = err, nil
	return true
}

// Pending implements proxy.Conn.
func (s *socket) Pending() int { return len(s.out) }

// Pause implements proxy.Conn.
func (s *socket) Pause() { s.paused = true }

// Resume implements proxy.Conn.
func (s *socket) Resume() { s.paused = false }

// Shutdown implements proxy.Conn.
func (s *socket) Shutdown() {
	s.shut = true
	if len(s.out) == 0 && !s.closed {
		_ = unix.Shutdown(s.fd, unix.SHUT_WR)
	}
}

// Close implements proxy.Conn.
func (s *socket) Close() {
	if !s.closed {
		s.closed = true
		_ = unix.Close(s.fd)
	}
}

// CloseWhenDrained implements proxy.Conn.
func (s *socket) CloseWhenDrained() {
	if len(s.out) == 0 {
		s.Close()
		return
	}
	s.closing = true
	s.Deadline(closePatience)
}

// Abort implements proxy.Conn.
func (s *socket) Abort() {
	if !s.closed {
		_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		s.Close()
	}
}

// Deadline implements proxy.Conn.
func (s *socket) Deadline(d time.Duration) {
	if s.due = 0; d > 0 {
		s.due = s.thread.now + int64(d)
	}
}

// events are what poll(2) shall wait for, 0 for nothing.
func (s *socket) events() (events int16) {
	if len(s.out) > 0 || s.connecting {
		events |= unix.POLLOUT
	}
	if !s.connecting && !s.paused && !s.ended && !s.closing {
		events |= unix.POLLIN
	}
	return events
}

// kept reports whether s is a connection to a backend that no request is on, and that has nothing to send.
func (s *socket) kept() bool {
	b, ok := s.side.(*proxy.BackendConn)
	return ok && b.Kept() && !s.closing && len(s.out) == 0
}

// happened handles what poll(2) has found.
func (s *socket) happened(events int16) {
	if s.connecting {
		s.connected()
		return
	}
	if events&unix.POLLOUT != 0 && len(s.out) > 0 && !s.flush() {
		return
	}
	if s.closed || s.err != nil {
		return
	}
	if s.closing {
		if events&(unix.POLLERR|unix.POLLHUP) != 0 {
			s.Close()
		}
		return
	}
	if events&^unix.POLLOUT != 0 && !s.paused && !s.ended {
		s.read()
	}
}

func (s *socket) connected() {
	errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	s.connecting = false
	if err != nil {
		s.err = err
		return
	}
	s.patient()
	s.made()
}

// flush offers the kernel what is pending, and reports whether s goes on.
func (s *socket) flush() bool {
	n, err := rawsock.Send(s.fd, s.out, 0)
	if s.failed(err) {
		return false
	}
	if s.out = s.out[:copy(s.out, s.out[n:])]; len(s.out) > 0 {
		return true
	}
	if cap(s.out) > maxKept {
		s.out = nil
	}
	switch {
	case s.closing:
		s.Close()
		return false
	case s.shut:
		_ = unix.Shutdown(s.fd, unix.SHUT_WR)
	}
	s.side.Drained()
	return !s.closed
}

// maxKept bounds the buffer that a socket keeps for what will be pending next time.
const maxKept = 64 << 10

func (s *socket) read() {
	room := s.room()
	n, err := rawsock.Receive(s.fd, room)
	s.received(room, n, err)
}

// room is where s reads to.
func (s *socket) room() []byte {
	if s.bulk {
		return s.thread.scratch[:splice.Head]
	}
	return s.thread.scratch
}

// received hands out n bytes that came.
func (s *socket) received(room []byte, n int, err unix.Errno) {
	switch {
	case s.failed(err):
	case n > 0:
		s.thread.used = n
		s.side.Data(room[:n])
	case err == 0:
		s.ended = true
		s.side.EOF()
	}
}

// lastWords hands out what had arrived when a write failed: it may be the answer
// that explains why.
func (s *socket) lastWords() {
	for !s.closed && !s.closing && !s.ended && !s.paused {
		n, err := rawsock.Receive(s.fd, s.thread.scratch)
		if err != 0 || n == 0 {
			return
		}
		s.thread.used = n
		s.side.Data(s.thread.scratch[:n])
	}
}

// dial begins to connect, without blocking. poll(2) tells when it is done, also if
// that is at once.
func dial(addr netip.AddrPort) (fd int, err error) {
	var to [unix.SizeofSockaddrInet6]byte
	family, size := rawsock.PutAddress(&to, addr)
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if errno := rawsock.Connect(fd, &to, size); errno != 0 && errno != unix.EINPROGRESS {
		err = errno
	}
	return fd, err
}
