package l7

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/loop"
	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
)

// listener is the thread of the model event that holds clients that wait for their
// next request, and accepts those that find no thread at rest. It implements runner.
type listener struct {
	*looper
	desk  *desk
	turn  int64           // of the loop, in which it went to the end of a line last
	away  []absence       // from lines, the one that ends first first
	came  uint64          // threads, when it last looked
	waits map[*front]bool // whether there was a client to accept when it last looked
}

// newListener makes the thread, which tells in a slot how many clients it holds.
func newListener(d *desk, slot *scoreboard.Slot) (*listener, error) {
	w, err := newLooper(loop.Epoll, false, nil)
	if err != nil {
		return nil, err
	}
	l := &listener{looper: w, desk: d, waits: map[*front]bool{}}
	w.handler = func(k *proxy.ClientConn) loop.Handler { return waiting{l, k} }
	d.listener = l
	w.loop.Post(func() { l.tell(slot) })
	return l, nil
}

func (l *listener) tell(slot *scoreboard.Slot) {
	now := l.loop.Now()
	l.desk.turnAway(func(v visitor) bool {
		late := v.due != 0 && v.due <= now
		if late {
			v.front.Service().Account.AddError()
		}
		return late
	})
	slot.SetConnections(l.core.Clients())
	l.look()
	l.loop.After(reportEvery, func() { l.tell(slot) })
}

// listen implements runner. A process listens with its threads at rest: whoever comes wakes one of them, which accepts
// and serves. Of those that wait at a socket with EPOLLEXCLUSIVE the kernel wakes the one that has been registered for
// longest, so a listener that stands in line behind all threads of all processes is woken when none of them rests. It
// need not know who does, and nobody has to wake it: a client is left waiting by nobody who was woken for it, but by a
// process that leaves in the same moment, and then until others look.
func (l *listener) listen(f *front) error {
	door, err := l.loop.Listen(f.descriptor, func(c *loop.Conn, peer netip.AddrPort) {
		c.SetHandler(l.handler(l.core.Accept(c, &f.Front, peer)))
		l.stepBack(f)
	})
	if err != nil {
		return err
	}
	l.doors[f] = door
	l.standBack(door)
	return nil
}

// stepBack goes to the end of the line when it has accepted, so that listeners take turns. If those who still wait are
// no more than threads rest, then they are not its own: threads were woken for them and are about to accept.
func (l *listener) stepBack(f *front) {
	switch now, waiting := l.loop.Now(), f.waiting(); {
	case waiting > 0 && waiting <= l.desk.board.Resting():
		l.standBack(l.doors[f])
	case now != l.turn: // once for all clients of this turn of the loop
		l.turn = now
		l.doors[f].Pause()
		l.doors[f].Resume()
	}
}

// waiting is how many clients the kernel has for a front.
func (f *front) waiting() int64 {
	info, err := unix.GetsockoptTCPInfo(f.descriptor, unix.SOL_TCP, unix.TCP_INFO)
	if err != nil {
		return 0
	}
	return int64(info.Unacked) // of a listening socket (tcp_get_info in net/ipv4/tcp.c)
}

// standBack leaves the line for a moment, and comes back to its end.
func (l *listener) standBack(door *loop.Listener) {
	door.Pause()
	l.away = append(l.away, absence{door, l.loop.Now() + int64(moment)})
	l.loop.Pace(l.comeBack)
}

// moment is how long threads that were woken have to accept: a client whom they leave waits as long.
const moment = time.Millisecond

// absence is from a line, until a time of the loop's.
type absence struct {
	door  *loop.Listener
	until int64
}

func (l *listener) comeBack(now int64) (next int64) {
	for len(l.away) > 0 && l.away[0].until <= now {
		l.away[0].door.Resume()
		l.away = l.away[1:]
	}
	if len(l.away) > 0 {
		return l.away[0].until
	}
	l.away = nil
	l.loop.Pace(nil)
	return 0
}

// look goes to the end of the line if others have begun to wait, so that it need not find out by a client whom they
// would have served; and also where a client still waits who was there the last time: who was woken for it has died.
func (l *listener) look() {
	came := l.desk.board.Came()
	for f, door := range l.doors {
		waits := f.waiting() > 0
		if came != l.came || waits && l.waits[f] {
			door.Pause()
			door.Resume()
		}
		l.waits[f] = waits
	}
	l.came = came
}

// unlisten implements runner.
func (l *listener) unlisten(f *front) {
	l.looper.unlisten(f)
	delete(l.waits, f)
}

// keep holds a client until it says something.
func (l *listener) keep(fd int, k *proxy.ClientConn) {
	front, addr, reused := k.Front(), k.Addr(), k.Reused()
	l.loop.Post(func() {
		c, err := l.loop.Adopt(fd, nil)
		if err != nil {
			unix.Close(fd)
			front.Lose()
			return
		}
		c.SetHandler(waiting{l, l.core.Resume(c, front, addr, reused)})
	})
}

// waiting is a client that waits at the listener thread.
type waiting struct {
	l *listener
	k *proxy.ClientConn
}

// Connected implements loop.Handler.
func (waiting) Connected(*loop.Conn) {}

// Data implements loop.Handler: a thread is to serve the client now.
func (w waiting) Data(c *loop.Conn, b []byte) {
	said, reused := append([]byte(nil), b...), w.k.Reused()
	if fd := c.Detach(); fd >= 0 && w.k.Leave() {
		f := w.k.Front()
		v := visitor{fd: fd, front: f, addr: w.k.Addr(), reused: reused, said: said}
		if patience := f.Service().HTTP.ClientHeadTimeout; patience > 0 {
			v.due = w.l.loop.Now() + int64(patience)
		}
		w.l.desk.put(v)
	}
}

// EOF implements loop.Handler.
func (w waiting) EOF(*loop.Conn) { w.k.EOF() }

// Drained implements loop.Handler.
func (w waiting) Drained(*loop.Conn) { w.k.Drained() }

// Expired implements loop.Handler.
func (w waiting) Expired(*loop.Conn) { w.k.Expired() }

// Closed implements loop.Handler.
func (w waiting) Closed(_ *loop.Conn, err error) { w.k.Closed(err) }
