package loop

import (
	"io"
	"testing"
	"time"
)

// Whoever has seen something pending hears when it is gone, also when the first send
// was late and the next ones are in time.
func TestDrainedComesAfterWhateverWasPending(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		conns, drained := make(chan *Conn, 1), make(chan bool, 1000)
		peer := dial(t, serve(t, l, &calls{
			data:    func(c *Conn, _ []byte) { conns <- c },
			drained: func(*Conn) { drained <- true },
		}))
		if _, err := io.WriteString(peer, "x"); err != nil {
			t.Fatal(err)
		}
		c := within(t, conns, "the connection")
		total, pending := 0, 0
		write := func() {
			c.Write(make([]byte, 3000))
			total += 3000
		}
		for range 100_000 {
			on(l, func() {
				if pending = c.Pending(); pending == 0 {
					write()
				}
			})
			if pending > 0 {
				break
			}
		}
		if pending == 0 {
			t.Fatal("nothing is ever pending")
		}
		on(l, write)
		_ = peer.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.CopyN(io.Discard, peer, int64(total)); err != nil {
			t.Fatal(err)
		}
		within(t, drained, "Drained")
	})
}
