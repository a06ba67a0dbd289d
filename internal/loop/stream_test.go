package loop

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"testing"
)

// echo writes back what it reads, and stops reading while it cannot.
func echo() *calls {
	return &calls{
		data: func(c *Conn, b []byte) {
			c.Write(b)
			if c.Pending() > 0 {
				c.Pause()
			}
		},
		drained: func(c *Conn) { c.Resume() },
		eof:     func(c *Conn) { c.CloseWhenDrained() },
	}
}

func TestEchoOfTenMegabytesInBothDirectionsAtOnce(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) { echoMuch(t, start(t, k)) })
}

func echoMuch(t *testing.T, l *Loop) {
	const size = 10 << 20
	addr := serve(t, l, echo())
	c := dial(t, addr)
	sent := sha256.New()
	go func() {
		r := rand.New(rand.NewPCG(1, 2))
		for left := size; left > 0; {
			b := make([]byte, min(left, 1+r.IntN(100_000)))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			sent.Write(b)
			if _, err := c.Write(b); err != nil {
				t.Error(err)
				return
			}
			left -= len(b)
		}
		c.CloseWrite()
	}()
	got := sha256.New()
	n, err := io.Copy(got, c)
	if n != size || err != nil {
		t.Fatalf("got %d bytes, %v; want %d", n, err, size)
	}
	if !bytes.Equal(got.Sum(nil), sent.Sum(nil)) {
		t.Error("the echo differs from what was sent")
	}
}

// Kernels before 6.12 use each provided buffer once.
func TestBuffersThatAreUsedWholeWork(t *testing.T) {
	needURing(t)
	for _, size := range []int{0, 1} { // plenty, and as few as there can be
		l := startWith(t, Options{Kind: URing, Buffer: size, whole: true})
		if n := len(l.io.(*uring).buffers.slots); size == 0 && n != wholeFactor*defaultBuffers/bufferSize {
			t.Errorf("there are %d buffers", n)
		}
		echoMuch(t, l)
		stressLoop(t, l)
	}
}

func TestFewBuffersWork(t *testing.T) {
	needURing(t)
	l := startWith(t, Options{Kind: URing, Buffer: 1})
	echoMuch(t, l)
	stressLoop(t, l)
}

func TestAWriterMeetsBackPressureAndHearsWhenItEnds(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		const size = 20 << 20
		l := start(t, k)
		piece := pattern(64 << 10)
		pending, drained := make(chan int, 1), make(chan int, 1)
		h := &calls{
			data: func(c *Conn, _ []byte) {
				for range size / len(piece) {
					c.Write(piece)
				}
				pending <- c.Pending()
			},
			drained: func(c *Conn) { drained <- c.Pending() },
		}
		c := dial(t, serve(t, l, h))
		c.Write([]byte("go"))
		if n := within(t, pending, "Pending"); n == 0 || n > size {
			t.Errorf("Pending = %d after %d bytes were written to one who does not read", n, size)
		}
		select {
		case <-drained:
			t.Error("Drained came before anything was read")
		default:
		}
		for left := size; left > 0; left -= len(piece) {
			got := make([]byte, len(piece))
			if _, err := io.ReadFull(c, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, piece) {
				t.Fatal("bytes are not those written")
			}
		}
		if n := within(t, drained, "Drained"); n != 0 {
			t.Errorf("Pending = %d in Drained", n)
		}
	})
}

// pattern returns bytes that show a shift.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func TestPauseLosesAndReordersNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		want := pattern(3 << 20)
		var got []byte
		paused := false
		ended := make(chan bool, 1)
		h := &calls{
			data: func(c *Conn, b []byte) {
				if paused {
					t.Error("Data while paused")
				}
				got = append(got, b...)
				paused = true
				c.Pause()
				l.After(1, func() { paused = false; c.Resume() })
			},
			eof: func(c *Conn) {
				if paused {
					t.Error("EOF while paused")
				}
				ended <- true
				c.Close()
			},
		}
		c := dial(t, serve(t, l, h))
		go func() { c.Write(want); c.CloseWrite() }()
		within(t, ended, "EOF")
		if !bytes.Equal(got, want) {
			t.Errorf("got %d bytes that are not the %d sent", len(got), len(want))
		}
	})
}

func TestPauseAndResumeInOneCallChangeNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		h := echo()
		data := h.data
		h.data = func(c *Conn, b []byte) {
			c.Pause()
			c.Resume()
			data(c, b)
			c.Pause()
			c.Pause()
			c.Resume()
		}
		c := dial(t, serve(t, l, h))
		for range 100 {
			roundTrip(t, c, []byte("hello"))
		}
	})
}

func roundTrip(t testing.TB, c io.ReadWriter, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(b))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b) {
		t.Fatalf("got %q, want %q", got, b)
	}
}

func TestBuffersOfAllSizesGoOutInOrder(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		all := pattern(4 << 20)
		h := &calls{data: func(c *Conn, _ []byte) {
			r, rest := rand.New(rand.NewPCG(3, 4)), all
			piece := func(n int) []byte {
				n = min(n, len(rest))
				b := rest[:n]
				rest = rest[n:]
				return b
			}
			for len(rest) > 0 {
				switch r.IntN(4) {
				case 0:
					c.Write(piece(r.IntN(300)))
				case 1:
					c.Write(piece(r.IntN(40_000)))
				case 2:
					c.Writev(piece(r.IntN(300)), nil, piece(r.IntN(20_000)))
				case 3:
					bs := make([][]byte, r.IntN(200))
					for i := range bs {
						bs[i] = piece(r.IntN(200))
					}
					c.WriteBuffers(bs)
				}
			}
			c.Shutdown()
			c.Write([]byte("never seen"))
		}}
		c := dial(t, serve(t, l, h))
		c.Write([]byte("go"))
		got, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, all) {
			t.Errorf("got %d bytes that are not the %d written", len(got), len(all))
		}
	})
}
