package loop

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// forwarder hands on what comes on from, as far as left goes.
type forwarder struct {
	t        *testing.T
	l        *Loop
	from, to *Conn
	left     uint64
	moved    uint64
	rest     []byte // in excess
	ended    chan error
	lost     chan error // to has failed
	source   *net.TCPConn
	sink     *net.TCPConn
}

// newForwarder makes a loop with two connections, of which from is in bulk.
func newForwarder(t *testing.T, k Kind, left uint64) *forwarder {
	f := &forwarder{t: t, l: start(t, k), left: left, ended: make(chan error, 2), lost: make(chan error, 2)}
	conns := make(chan *Conn, 1)
	fd, addr := listener(t, 10)
	on(f.l, func() {
		_, err := f.l.Listen(fd, func(c *Conn, _ netip.AddrPort) {
			c.SetHandler(&calls{})
			conns <- c
		})
		if err != nil {
			t.Error(err)
		}
	})
	f.sink = dial(t, addr)
	f.to = <-conns
	f.source = dial(t, addr)
	f.from = <-conns
	on(f.l, func() {
		f.to.SetHandler(&calls{drained: func(*Conn) { f.from.Resume() }, closed: func(_ *Conn, err error) { f.lost <- err }})
		f.from.SetHandler(&calls{data: f.data, eof: func(*Conn) { f.ended <- nil }, closed: func(_ *Conn, err error) { f.ended <- err }})
		f.from.Bulk(true)
	})
	t.Cleanup(func() {
		on(f.l, func() {
			if f.l.pipe.Open() && f.l.pipe.Read(make([]byte, 1)) != 0 {
				t.Error("the pipe is not empty")
			}
		})
	})
	return f
}

func (f *forwarder) data(c *Conn, b []byte) {
	mine := b[:min(f.left, uint64(len(b)))]
	f.rest = append(f.rest, b[len(mine):]...)
	f.left -= uint64(len(mine))
	n := c.Forward(f.to, [][]byte{mine}, f.left)
	f.left, f.moved = f.left-n, f.moved+n
	if f.to.Pending() > 0 {
		c.Pause()
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func TestForwardHandsOnEveryByteOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		for name, c := range map[string]struct {
			size, part, room int
			slow             bool
		}{
			"64 KiB at once":     {size: 64<<10 + 243, part: 1 << 20},
			"little":             {size: 20_000, part: 20_000},
			"little by little":   {size: 1 << 20, part: 777},
			"much":               {size: 20 << 20, part: 1 << 20},
			"much to a slow one": {size: 3 << 20, part: 100_000, room: 20_000, slow: true},
		} {
			t.Run(name, func(t *testing.T) {
				f := newForwarder(t, k, uint64(c.size))
				on(f.l, func() {
					if c.room > 0 {
						_ = unix.SetsockoptInt(f.to.FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, c.room)
					}
				})
				want := noise(c.size)
				go func() {
					for b := want; len(b) > 0; b = b[min(len(b), c.part):] {
						if _, err := f.source.Write(b[:min(len(b), c.part)]); err != nil {
							t.Error(err)
							return
						}
					}
				}()
				if c.slow {
					time.Sleep(50 * time.Millisecond)
				}
				got := make([]byte, c.size)
				if _, err := io.ReadFull(f.sink, got); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("what came differs, or did not: %v", err)
				}
				on(f.l, func() {
					if s := f.l.Stats(); f.left != 0 || s.Read != uint64(c.size) || s.Written != uint64(c.size) || f.to.Pending() != 0 {
						t.Errorf("%d left, read %d, written %d, pending %d", f.left, s.Read, s.Written, f.to.Pending())
					}
					if f.moved == 0 && c.part > 1000 && c.size > 1<<20 {
						t.Error("nothing was spliced")
					}
				})
			})
		}
	})
}

func TestForwardWithoutAPipeCopies(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		f := newForwarder(t, k, 1<<20)
		on(f.l, func() {
			f.l.pipe.Close()
			f.from.Bulk(true)
		})
		want, got := noise(1<<20), make([]byte, 1<<20)
		go f.source.Write(want)
		if _, err := io.ReadFull(f.sink, got); err != nil || !bytes.Equal(got, want) {
			t.Error("what came differs, or did not:", err)
		}
		on(f.l, func() {
			if f.moved != 0 {
				t.Errorf("%d bytes were moved", f.moved)
			}
		})
	})
}

func TestForwardLeavesWhatIsNotWanted(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		f := newForwarder(t, k, 100_000)
		want := noise(100_050)
		f.source.Write(want)
		got := make([]byte, 100_000)
		if _, err := io.ReadFull(f.sink, got); err != nil || !bytes.Equal(got, want[:100_000]) {
			t.Fatalf("%v", err)
		}
		on(f.l, func() {
			if len(f.rest) == 0 && f.from.Quiet() {
				t.Error("it is quiet with bytes in excess")
			}
		})
		f.source.Write([]byte{7})
		settles(t, "that the rest came as Data", func() bool {
			var n int
			on(f.l, func() { n = len(f.rest) })
			return n == 51
		})
		on(f.l, func() {
			if !bytes.Equal(f.rest, append(want[100_000:], 7)) {
				t.Errorf("it is %v", f.rest)
			}
		})
	})
}

func TestForwardFindsTheEndThatComesTooEarly(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		for _, reset := range []bool{false, true} {
			f := newForwarder(t, k, 1<<20)
			want, got := noise(300_000), make([]byte, 300_000)
			f.source.Write(want)
			if reset {
				io.ReadFull(f.sink, got)
				f.source.SetLinger(0)
			}
			f.source.Close()
			err := within(t, f.ended, "the end")
			if !reset {
				_, _ = io.ReadFull(f.sink, got)
			}
			if !bytes.Equal(got, want) || reset && err == nil {
				t.Errorf("reset %v: %v, or something was lost", reset, err)
			}
		}
	})
}

func TestForwardToOneThatIsGone(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		f := newForwarder(t, k, 1<<40)
		f.sink.SetLinger(0)
		go func() {
			for b := noise(1 << 20); ; {
				if _, err := f.source.Write(b); err != nil {
					return
				}
			}
		}()
		io.ReadFull(f.sink, make([]byte, 3<<20))
		f.sink.Close()
		if err := within(t, f.lost, "the end of the receiver"); err == nil {
			t.Error("it ended in order")
		}
		f.source.Close()
	})
}

func TestForwardRespectsAPause(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		f := newForwarder(t, k, 1<<20)
		want := noise(1 << 20)
		on(f.l, func() {
			h := f.from.Handler().(*calls)
			h.data = func(c *Conn, b []byte) { // once: pauses, and may not move then
				c.Pause()
				h.data = f.data
				f.data(c, b)
				if f.moved != 0 {
					t.Errorf("%d bytes moved while paused", f.moved)
				}
			}
		})
		go f.source.Write(want)
		time.Sleep(20 * time.Millisecond)
		on(f.l, func() { f.from.Resume() })
		got := make([]byte, 1<<20)
		if _, err := io.ReadFull(f.sink, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v", err)
		}
	})
}

func TestBulkMayChangeAtAnyTime(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		f := newForwarder(t, k, 10<<20)
		n := 0
		on(f.l, func() {
			f.from.Handler().(*calls).data = func(c *Conn, b []byte) {
				f.data(c, b)
				if n++; n%3 == 0 {
					c.Bulk(n%2 == 0)
				}
			}
		})
		want, got := noise(10<<20), make([]byte, 10<<20)
		go f.source.Write(want)
		if _, err := io.ReadFull(f.sink, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v", err)
		}
	})
}

func TestALoopClosesItsPipe(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		before := descriptors(t)
		l, err := New(Options{Kind: k})
		if err != nil || !l.pipe.Open() {
			t.Fatal("no pipe", err)
		}
		if err := l.Close(); err != nil || descriptors(t) != before {
			t.Errorf("%v, %d descriptors, before %d", err, descriptors(t), before)
		}
	})
}
