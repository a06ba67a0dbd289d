package loop

import (
	"fmt"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// quietPair are a loop's connections, each with the other end, and which of them
// have been heard of.
type quietPair struct {
	l     *Loop
	conns []*Conn
	peers []int
	heard []bool
	any   chan int // one that was heard of
}

func newQuietPairs(t *testing.T, k Kind, n int) *quietPair {
	p := &quietPair{l: start(t, k), conns: make([]*Conn, n), peers: make([]int, n), heard: make([]bool, n), any: make(chan int, 2*n)}
	for i := range n {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		p.peers[i] = pair[1]
		t.Cleanup(func() { unix.Close(pair[1]) })
		hears := func() {
			p.heard[i] = true
			p.any <- i
		}
		on(p.l, func() {
			c, err := p.l.Adopt(pair[0], &calls{data: func(*Conn, []byte) { hears() }, eof: func(*Conn) { hears() }})
			if err != nil {
				t.Error(err)
			}
			p.conns[i] = c
		})
	}
	time.Sleep(10 * time.Millisecond)
	return p
}

func TestAQuietConnectionIsKnownWithoutACall(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		p := newQuietPairs(t, k, 2)
		for try := range 100 { // a look that comes late makes one
			calls := uint64(1)
			on(p.l, func() {
				before := p.l.Stats().Syscalls
				for i, c := range p.conns {
					if !c.Quiet() {
						t.Errorf("connection %d is not quiet, and nothing was sent", i)
					}
				}
				calls = p.l.Stats().Syscalls - before
			})
			if calls == 0 {
				break
			}
			if try == 99 {
				t.Errorf("%d calls for two connections", calls)
			}
		}
		on(p.l, func() {
			if n := testing.AllocsPerRun(100, func() { p.conns[0].Quiet() }); n != 0 {
				t.Errorf("to ask costs %v allocations", n)
			}
		})
	})
}

func TestAfterAMillisecondQuietLooksItself(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		p := newQuietPairs(t, k, 3)
		on(p.l, func() {
			if _, err := unix.Write(p.peers[0], []byte("x")); err != nil {
				t.Error(err)
			}
			unix.Shutdown(p.peers[1], unix.SHUT_WR)
			time.Sleep(2 * time.Millisecond)
			for i, c := range p.conns {
				if quiet := c.Quiet(); quiet != (i == 2) {
					t.Errorf("connection %d: quiet %v", i, quiet)
				}
			}
		})
	})
}

// What came before an iteration is known in it from its beginning, whichever
// connection has its turn first, and however many there are.
func TestAConnectionIsNotQuietBeforeWhatCameWasHandedOut(t *testing.T) {
	comes := map[string]func(fd int) error{
		"data":   func(fd int) error { _, err := unix.Write(fd, []byte("x")); return err },
		"an end": func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) },
	}
	for what, send := range comes {
		for _, n := range []int{2, 100, maxEvents + 100} {
			t.Run(fmt.Sprint(what, " on ", n), func(t *testing.T) {
				eachKind(t, func(t *testing.T, k Kind) {
					p := newQuietPairs(t, k, n+1)
					last := p.conns[n] // of which nothing comes
					wrong := 0
					for _, c := range p.conns[:n] {
						look := func() {
							for i, other := range p.conns[:n] {
								if !p.heard[i] && other.Quiet() {
									wrong++
								}
							}
							if !last.Quiet() {
								wrong++
							}
						}
						h := c.Handler().(*calls)
						data, eof := h.data, h.eof
						on(p.l, func() {
							h.data = func(c *Conn, b []byte) { data(c, b); look() }
							h.eof = func(c *Conn) { eof(c); look() }
						})
					}
					on(p.l, func() { // all are there when the loop collects
						for _, fd := range p.peers[:n] {
							if err := send(fd); err != nil {
								t.Error(err)
							}
						}
					})
					for range n {
						<-p.any
					}
					on(p.l, func() {
						if wrong != 0 {
							t.Errorf("%d of %d looks were wrong", wrong, n*n)
						}
					})
				})
			})
		}
	}
}

// Who takes from the socket exactly what he wants uses up the event of what is
// behind it.
func TestWhatForwardLeavesIsNotQuiet(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		const wanted = 64 << 10
		f := newForwarder(t, k, wanted)
		send := func(b []byte) {
			if _, err := f.source.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		rest := make(chan struct{}, 2)
		forward := f.from.Handler().(*calls).data
		on(f.l, func() {
			f.from.Handler().(*calls).data = func(c *Conn, b []byte) {
				if f.left > 0 {
					forward(c, b)
				} else {
					f.rest = append(f.rest, b...)
					rest <- struct{}{}
				}
			}
		})
		send(noise(wanted / 2)) // from then on io_uring polls
		if _, err := io.ReadFull(f.sink, make([]byte, wanted/2)); err != nil {
			t.Fatal(err)
		}
		on(f.l, f.from.Pause)
		send(noise(wanted / 2))
		send([]byte("and more"))
		time.Sleep(10 * time.Millisecond)
		on(f.l, f.from.Resume)
		if _, err := io.ReadFull(f.sink, make([]byte, wanted/2)); err != nil {
			t.Fatal(err)
		}
		on(f.l, func() {
			if f.from.Quiet() && len(f.rest) == 0 {
				t.Error("quiet, and the socket has more")
			}
			if f.moved == 0 {
				t.Error("nothing was forwarded")
			}
		})
	})
}

// To ask the kernel for something else in mid-iteration may collect what has come.
func TestQuietLooksAfterACallInMidIteration(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		calls := map[string]func(p *quietPair){
			"a connection is detached": func(p *quietPair) { unix.Close(p.conns[2].Detach()) },
		}
		if k == URing {
			calls["the ring is full"] = func(p *quietPair) {
				for range ringEntries + 1 { // as when 600 connections are let go
					p.l.io.(*uring).entry(0 /* nothing */, -1, tokenNone.of(0)).flags = sqeQuiet
				}
			}
		}
		for name, call := range calls {
			p := newQuietPairs(t, k, 3)
			on(p.l, func() {
				if _, err := unix.Write(p.peers[0], []byte("x")); err != nil {
					t.Error(err)
				}
				unix.Shutdown(p.peers[1], unix.SHUT_WR)
				time.Sleep(5 * time.Millisecond)
				call(p)
				for i, c := range p.conns[:2] {
					if c.Quiet() {
						t.Errorf("%s: connection %d is quiet, though something came 5 ms ago", name, i)
					}
				}
			})
		}
	})
}
