package l7

import (
	"net/netip"

	"lbctl/internal/loop"
	"lbctl/internal/proxy"
)

// looper is one thread of the loop model: an event loop and what its connections
// share. It implements proxy.Driver.
type looper struct {
	loop *loop.Loop
	core *proxy.Core
	done chan struct{} // closed when the loop has ended
	err  error         // why it ended, nil if it was stopped
}

func newLooper(kind loop.Kind, seed uint64) (*looper, error) {
	l, err := loop.New(loop.Options{Kind: kind})
	if err != nil {
		return nil, err
	}
	w := &looper{loop: l, done: make(chan struct{})}
	w.core = proxy.NewCore(w, seed)
	go func() {
		defer close(w.done)
		w.err = l.Run()
	}()
	return w, nil
}

// do runs f on the loop and waits until it has.
func (w *looper) do(f func()) {
	ran := make(chan struct{})
	w.loop.Post(func() {
		defer close(ran)
		f()
	})
	select {
	case <-ran:
	case <-w.done:
	}
}

// stop ends the loop with whatever is still open.
func (w *looper) stop() error {
	w.loop.Stop()
	<-w.done
	if err := w.loop.Close(); w.err == nil {
		w.err = err
	}
	return w.err
}

// listen accepts a front's clients.
func (w *looper) listen(f *front) (*loop.Listener, error) {
	return w.loop.Listen(int(f.socket.Fd()), func(c *loop.Conn, peer netip.AddrPort) {
		c.SetHandler(clientSide{w.core.Accept(c, &f.Front, peer)})
	})
}

// Connect implements proxy.Driver.
func (w *looper) Connect(b *proxy.BackendConn, addr netip.AddrPort) proxy.Conn {
	c := w.loop.Connect(addr, backendSide{b})
	return c
}

// Alive implements proxy.Driver.
func (w *looper) Alive(c proxy.Conn) bool {
	return c.(*loop.Conn).Quiet()
}

// Now implements proxy.Driver.
func (w *looper) Now() int64 { return w.loop.Now() }
