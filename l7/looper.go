package l7

import (
	"net/netip"
	"time"

	"lbctl/internal/loop"
	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
)

// looper is the thread of the model loop: an event loop, on which any number of
// clients are served. It implements runner and proxy.Driver.
type looper struct {
	loop    *loop.Loop
	core    *proxy.Core
	slot    *scoreboard.Slot // nil: none
	handler func(*proxy.ClientConn) loop.Handler
	doors   map[*front]*loop.Listener
	done    chan struct{} // closed when the loop has ended
	err     error         // why it ended, nil if it was stopped
}

// newLooper makes a loop; alone says that no other one listens where it does, but for one that takes over.
func newLooper(kind loop.Kind, alone bool, slot *scoreboard.Slot) (*looper, error) {
	l, err := loop.New(loop.Options{Kind: kind, Alone: alone})
	if err != nil {
		return nil, err
	}
	w := &looper{loop: l, slot: slot, doors: map[*front]*loop.Listener{}, done: make(chan struct{})}
	w.core = proxy.NewCore(w, seed())
	w.handler = func(k *proxy.ClientConn) loop.Handler { return clientSide{k} }
	if slot != nil {
		w.core.CountIn(slot)
		slot.Enter(0)
		l.Post(w.report)
	}
	l.Post(w.trim)
	l.Post(punctual)
	go func() {
		defer close(w.done)
		w.err = l.Run()
	}()
	return w, nil
}

// reportEvery is how often a loop tells the scoreboard what it does, and looks for clients that others
// have left waiting; a thread of the other models tells each change.
const reportEvery = 100 * time.Millisecond

func (w *looper) report() {
	state := scoreboard.Waiting
	switch active := w.core.Active(); {
	case active > 0:
		state = scoreboard.Sending
	case w.core.Clients() > 0:
		state = scoreboard.KeepAlive
	}
	w.slot.Set(state, w.loop.Now())
	w.slot.SetConnections(w.core.Clients())
	for _, door := range w.doors {
		door.Look() // somebody may wait for a worker that has been stopped or killed
	}
	w.loop.After(reportEvery, w.report)
}

// trimEvery is how often what a peak has left in memory is halved.
const trimEvery = time.Second

func (w *looper) trim() {
	w.core.Trim()
	w.loop.After(trimEvery, w.trim)
}

// do implements runner.
func (w *looper) do(f func(*proxy.Core)) {
	ran := make(chan struct{})
	w.loop.Post(func() {
		defer close(ran)
		f(w.core)
	})
	select {
	case <-ran:
	case <-w.done:
	}
}

// stop implements runner.
func (w *looper) stop() error {
	w.loop.Stop()
	<-w.done
	if err := w.loop.Close(); w.err == nil {
		w.err = err
	}
	return w.err
}

// listen implements runner.
func (w *looper) listen(f *front) error {
	door, err := w.loop.Listen(f.descriptor, func(c *loop.Conn, peer netip.AddrPort) {
		c.SetHandler(w.handler(w.core.Accept(c, &f.Front, peer)))
	})
	if err != nil {
		return err
	}
	w.doors[f] = door
	return nil
}

// unlisten implements runner.
func (w *looper) unlisten(f *front) {
	if door := w.doors[f]; door != nil {
		door.Close()
	}
	delete(w.doors, f)
}

// Connect implements proxy.Driver.
func (w *looper) Connect(b *proxy.BackendConn, addr netip.AddrPort) proxy.Conn {
	return w.loop.Connect(addr, backendSide{b})
}

// Alive implements proxy.Driver.
func (w *looper) Alive(c proxy.Conn) bool { return c.(*loop.Conn).Quiet() }

// Forward implements proxy.Driver.
func (w *looper) Forward(from, to proxy.Conn, bs [][]byte, n uint64) uint64 {
	return from.(*loop.Conn).Forward(to.(*loop.Conn), bs, n)
}

// After implements proxy.Driver.
func (w *looper) After(d time.Duration, f func()) proxy.Timer { return w.loop.After(d, f) }

// Now implements proxy.Driver.
func (w *looper) Now() int64 { return w.loop.Now() }
