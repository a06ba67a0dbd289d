package loop

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestHalfCloseLeavesTheOtherHalf(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		server := serve(t, l, &calls{eof: func(c *Conn) {
			c.Write([]byte("after your FIN"))
			c.Shutdown()
		}})
		c := dial(t, server)
		c.CloseWrite()
		if got, err := io.ReadAll(c); string(got) != "after your FIN" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestAResetIsHeardOf(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		got := make(chan error, 1)
		opened := make(chan bool, 1)
		addr := serve(t, l, &calls{
			data:   func(*Conn, []byte) { opened <- true },
			closed: func(_ *Conn, err error) { got <- err },
		})
		c := dial(t, addr)
		c.Write([]byte("x"))
		within(t, opened, "Data")
		c.SetLinger(0)
		c.Close()
		if err := within(t, got, "Closed"); err != error(unix.ECONNRESET) {
			t.Errorf("Closed with %v", err)
		}
	})
}

func TestAbortSendsAReset(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		c := dial(t, serve(t, l, &calls{data: func(c *Conn, _ []byte) { c.Abort() }}))
		c.Write([]byte("x"))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
	})
}

func TestAnAnswerBeforeAFailedWriteIsHeard(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		fd, addr := listener(t, 16)
		data, closed := make(chan string, 10), make(chan error, 1)
		on(l, func() {
			l.Connect(addr, &calls{
				connected: func(c *Conn) { c.Write(pattern(1 << 20)) },
				drained:   func(c *Conn) { c.Write(pattern(1 << 20)) },
				data:      func(_ *Conn, b []byte) { data <- string(b) },
				closed:    func(_ *Conn, err error) { closed <- err },
			})
		})
		peer, _, err := unix.Accept(fd)
		if err != nil {
			t.Fatal(err)
		}
		unix.Write(peer, []byte("413"))
		unix.Close(peer) // with unread bytes: a reset
		if err := within(t, closed, "Closed"); err == nil {
			t.Error("Closed without an error")
		}
		if got := within(t, data, "Data"); got != "413" {
			t.Errorf("Data = %q", got)
		}
	})
}

func TestConnectTellsWhatBecameOfIt(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		fd, refused := listener(t, 1)
		_ = unix.Close(fd)
		for _, c := range []struct {
			name string
			addr netip.AddrPort
			want error
		}{
			{"refused", refused, unix.ECONNREFUSED},
			{"no such network", netip.MustParseAddrPort("[fe80::1%nosuch]:1"), unix.EINVAL},
			{"to all", netip.MustParseAddrPort("255.255.255.255:1"), unix.ENETUNREACH},
		} {
			t.Run(c.name, func(t *testing.T) {
				got := make(chan error, 2)
				on(l, func() {
					within := true
					conn := l.Connect(c.addr, &calls{
						connected: func(*Conn) { got <- nil },
						closed: func(_ *Conn, err error) {
							if within {
								t.Error("Closed came within Connect")
							}
							got <- err
						},
					})
					conn.Write([]byte("early"))
					within = false
				})
				if err := within(t, got, "Closed"); err == nil || c.name == "refused" && err != c.want {
					t.Errorf("Closed with %v, want %v", err, c.want)
				}
			})
		}
	})
}

func TestAConnectThatMeetsSilenceExpires(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		fd, addr := listener(t, 1) // whose queue is full: SYNs are dropped
		for range 2 {
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(s)
			_ = unix.Connect(s, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(addr.Port())})
		}
		_ = fd
		before := descriptors(t)
		expired := make(chan bool, 1)
		on(l, func() {
			c := l.Connect(addr, &calls{
				connected: func(*Conn) { t.Error("Connected through a full queue") },
				expired:   func(c *Conn) { c.Close(); expired <- true },
				closed:    func(_ *Conn, err error) { t.Errorf("Closed after Close: %v", err) },
			})
			c.Deadline(30 * time.Millisecond)
		})
		within(t, expired, "Expired")
		settles(t, "the descriptor is closed", func() bool { return descriptors(t) == before })
	})
}

func TestEarlyWritesFollowTheConnect(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		addr := serve(t, l, echo())
		got := make(chan string, 10)
		on(l, func() {
			c := l.Connect(addr, &calls{data: func(_ *Conn, b []byte) { got <- string(b) }})
			c.Writev([]byte("one "), []byte("two"))
			if c.Pending() == 0 {
				t.Error("nothing is pending before the connection is made")
			}
		})
		if s := within(t, got, "Data"); s != "one two" {
			t.Errorf("got %q", s)
		}
	})
}

func TestCloseWhenDrainedSendsAllAndCallsNobody(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		const size = 8 << 20
		addr := serve(t, l, &calls{
			data: func(c *Conn, b []byte) {
				c.Write(make([]byte, size))
				c.CloseWhenDrained()
				c.Write([]byte("never seen"))
			},
			drained: func(*Conn) { t.Error("Drained after CloseWhenDrained") },
			eof:     func(*Conn) { t.Error("EOF after CloseWhenDrained") },
			closed:  func(*Conn, error) { t.Error("Closed after CloseWhenDrained") },
		})
		c := dial(t, addr)
		c.Write([]byte("go"))
		if n, err := io.Copy(io.Discard, c); n != size || err != nil {
			t.Errorf("got %d bytes, %v", n, err)
		}
		settles(t, "no connection is open", func() bool {
			n := 0
			on(l, func() { n = l.Stats().Conns })
			return n == 0
		})
	})
}

func TestCloseWhenDrainedGivesUpAtTheDeadline(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		c := dial(t, serve(t, l, &calls{data: func(c *Conn, b []byte) {
			c.Write(make([]byte, 16<<20))
			c.Deadline(50 * time.Millisecond)
			c.CloseWhenDrained()
		}}))
		c.Write([]byte("go"))
		settles(t, "the connection is closed", func() bool {
			s := Stats{}
			on(l, func() { s = l.Stats() })
			return s.Accepted == 1 && s.Conns == 0
		})
	})
}

func TestDetachGivesTheSocketBack(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		fds := make(chan int, 1)
		c := dial(t, serve(t, l, &calls{data: func(c *Conn, b []byte) {
			c.Write(b)
			c.Loop().Post(func() { fds <- c.Detach() })
		}}))
		roundTrip(t, c, []byte("hello"))
		fd := within(t, fds, "Detach")
		f := os.NewFile(uintptr(fd), "detached")
		defer f.Close()
		c.Write([]byte("more"))
		got := make([]byte, 4)
		if _, err := io.ReadFull(f, got); string(got) != "more" || err != nil {
			t.Errorf("read %q, %v from the detached socket", got, err)
		}
		if s := (Stats{}); true {
			on(l, func() { s = l.Stats() })
			if s.Conns != 0 {
				t.Errorf("%d connections are open", s.Conns)
			}
		}
	})
}

func TestAdoptedSocketsWorkAndOthersAreRefused(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = unix.Write(pair[1], []byte("early"))
		got := make(chan string, 4)
		on(l, func() {
			c, err := l.Adopt(pair[0], &calls{
				data: func(c *Conn, b []byte) { got <- string(b); c.Write(b) },
				eof:  func(c *Conn) { got <- "EOF"; c.Close() },
			})
			if err != nil {
				t.Error(err)
			} else if c.Peer().IsValid() {
				t.Errorf("peer of a socketpair is %v", c.Peer())
			}
			if _, err := l.Adopt(9999, echo()); err == nil {
				t.Error("a descriptor that does not exist was adopted")
			}
		})
		if s := within(t, got, "Data"); s != "early" {
			t.Errorf("got %q", s)
		}
		b := make([]byte, 5)
		if n, err := unix.Read(pair[1], b); n != 5 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
		unix.Close(pair[1])
		if s := within(t, got, "EOF"); s != "EOF" {
			t.Errorf("got %q", s)
		}
	})
}

// The kernel may have taken data from the socket when Detach is called; it must
// come as Data, in order, and what comes after it must be in the socket.
func TestDetachLosesNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		for _, pause := range []bool{false, true} {
			l := start(t, k)
			const others = 8
			want := pattern(3 << 20)
			fds, got := make(chan int, 1), []byte(nil)
			first := true
			addr := serve(t, l, &calls{data: func(c *Conn, b []byte) {
				if first && b[0] == 'x' { // another connection, whose completions are in between
					c.SetHandler(echo())
					c.Write(b)
					return
				}
				got = append(got, b...)
				if pause {
					c.Pause()
				}
				if first {
					first = false
					l.After(time.Millisecond, func() { fds <- c.Detach() })
				}
			}})
			for range others {
				o := dial(t, addr)
				go func() {
					b := []byte("xyz")
					for {
						if _, err := o.Write(b); err != nil {
							return
						}
						if _, err := io.ReadFull(o, b); err != nil || string(b) != "xyz" {
							return
						}
					}
				}()
			}
			settles(t, "the others are at it", func() (all bool) {
				on(l, func() { all = l.Stats().Read > 100*others })
				return all
			})
			c := dial(t, addr)
			go func() { c.Write(want[1:]); c.CloseWrite() }()
			f := os.NewFile(uintptr(within(t, fds, "Detach")), "detached")
			rest, err := io.ReadAll(f)
			f.Close()
			if err != nil || string(append(got, rest...)) != string(want[1:]) {
				t.Errorf("pause %v: %d bytes as Data and %d from the socket, %v: not the %d that were sent", pause, len(got), len(rest), err, len(want)-1)
			}
		}
	})
}
