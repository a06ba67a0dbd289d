package loop

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// watched fails when a call comes after its connection was closed.
type watched struct {
	t    *testing.T
	over bool
	do   func(h *watched, c *Conn, what string)
}

func (h *watched) hear(c *Conn, what string) {
	if h.over {
		h.t.Errorf("%s after the end", what)
		return
	}
	if c.User != any(h) {
		h.t.Errorf("%s for somebody else's connection", what)
	}
	h.do(h, c, what)
}

func (h *watched) Connected(c *Conn)         { h.hear(c, "Connected") }
func (h *watched) Data(c *Conn, _ []byte)    { h.hear(c, "Data") }
func (h *watched) EOF(c *Conn)               { h.hear(c, "EOF") }
func (h *watched) Drained(c *Conn)           { h.hear(c, "Drained") }
func (h *watched) Expired(c *Conn)           { h.hear(c, "Expired") }
func (h *watched) Closed(c *Conn, err error) { h.hear(c, "Closed"); h.over = true }

func TestAStormOfConnectionsLeavesNothingBehind(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		const total, atOnce = 2000, 100
		l := start(t, k)
		fd, addr := listener(t, 4096)
		on(l, func() {
			_, err := l.Listen(fd, func(c *Conn, _ netip.AddrPort) {
				h := &watched{t: t, do: func(h *watched, c *Conn, what string) {
					switch what {
					case "Data":
						c.Writev([]byte("answer"))
						c.CloseWhenDrained()
						h.over = true
					case "EOF":
						h.over = true
						c.Close()
					}
				}}
				c.User = h
				c.SetHandler(h)
			})
			if err != nil {
				t.Error(err)
			}
		})
		before := descriptors(t)
		begun, ended, finished := 0, 0, make(chan bool)
		var begin func()
		end := func() {
			if ended++; ended == total {
				close(finished)
			} else if begun < total {
				begin()
			}
		}
		begin = func() {
			begun++
			how := begun % 4
			h := &watched{t: t, do: func(h *watched, c *Conn, what string) {
				switch {
				case what == "Connected" && how == 0: // at once
					c.Close()
				case what == "Connected":
					c.Write([]byte("request"))
					if how == 1 { // with an answer under way
						c.Abort()
						break
					}
					return
				case what == "Data" && how == 2, what == "EOF":
					c.Close()
				case what == "Closed":
					t.Error("Closed")
				default:
					return
				}
				h.over = true
				end()
			}}
			c := l.Connect(addr, h)
			c.User = h
		}
		on(l, func() {
			for range atOnce {
				begin()
			}
		})
		within(t, finished, "the end of the storm")
		settles(t, "as many descriptors are open as before", func() bool { return descriptors(t) == before })
		on(l, func() {
			if s := l.Stats(); s.Conns != 0 {
				t.Errorf("%d connections are open", s.Conns)
			}
			if n := int(l.slots); n > 3*atOnce {
				t.Errorf("%d connections were made of memory for at most %d at once", n, 2*atOnce)
			}
		})
	})
}

// Every call may close the connection that it is about, and all others.
func TestCloseIsAllowedInEveryCall(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		addr := serve(t, l, &calls{
			data: func(c *Conn, b []byte) {
				if b[0] == 'r' {
					c.Abort()
					return
				}
				c.Write(make([]byte, 4<<20))
				c.Shutdown()
			},
			eof: func(c *Conn) { c.Close() },
		})
		for _, what := range []string{"Connected", "Data", "EOF", "Expired", "Closed", "Drained"} {
			t.Run(what, func(t *testing.T) {
				done := make(chan bool, 1)
				on(l, func() {
					var others []*Conn
					for range 3 {
						h := &watched{t: t, do: func(h *watched, c *Conn, got string) {
							if got == what {
								for _, o := range others {
									o.Close()
									o.User.(*watched).over = true
								}
								c.Write([]byte("x"))
								c.Resume()
								c.Deadline(1)
								select {
								case done <- true:
								default:
								}
								return
							}
							switch {
							case got == "Connected" && what == "Closed":
								c.Write([]byte("reset me"))
							case got == "Connected" && what == "Drained":
								c.Write(make([]byte, 8<<20))
								c.Pause()
							case got == "Connected":
								c.Write([]byte("go"))
								c.Deadline(0)
							}
						}}
						c := l.Connect(addr, h)
						c.User = h
						others = append(others, c)
						if what == "Expired" {
							h.do = func(do func(*watched, *Conn, string)) func(*watched, *Conn, string) {
								return func(h *watched, c *Conn, got string) {
									if got == "Expired" {
										do(h, c, got)
									}
								}
							}(h.do)
							c.Deadline(1)
						}
					}
				})
				within(t, done, what)
			})
		}
		settles(t, "no connection is open", func() bool {
			n := 0
			on(l, func() { n = l.Stats().Conns })
			return n == 0
		})
	})
}

func TestPostedFunctionsRunOnceAndInOrder(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		const senders, each = 8, 1000
		var last [senders]int
		var total atomic.Int64
		done := make(chan bool)
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for i := 1; i <= each; i++ {
					l.Post(func() {
						if i != last[s]+1 {
							t.Errorf("sender %d: %d after %d", s, i, last[s])
						}
						last[s] = i
						if total.Add(1) == senders*each {
							close(done)
						}
					})
				}
			})
		}
		wg.Wait()
		within(t, done, "the last function")
	})
}

func TestStopLeavesConnectionsAndCloseClosesThem(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		before := descriptors(t)
		l, err := New(Options{Kind: k})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- l.Run() }()
		h := echo()
		h.closed = func(*Conn, error) { t.Error("Closed by the end of the loop") }
		fd, addr := listener(t, 16)
		on(l, func() { _, err = l.Listen(fd, func(c *Conn, _ netip.AddrPort) { c.SetHandler(h) }) })
		c := dial(t, addr)
		roundTrip(t, c, []byte("hello"))
		ran := make(chan bool, 1)
		on(l, func() { l.Stop(); l.Post(func() { ran <- true }) })
		if err := within(t, done, "the end of Run"); err != nil {
			t.Error(err)
		}
		within(t, ran, "what was posted before the end")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		c.Close()
		unix.Close(fd)
		settles(t, "nothing is open", func() bool { return descriptors(t) <= before+1 }) // the test's own poller
	})
}

// TestAcceptSurvivesAWantOfDescriptors runs in a process of its own, whose limit it lowers.
func TestAcceptSurvivesAWantOfDescriptors(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHelperFewDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), fmt.Sprintf("LOOP_TEST_KIND=%d", k))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "resumed") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func TestHelperFewDescriptors(t *testing.T) {
	var k Kind
	if _, err := fmt.Sscan(os.Getenv("LOOP_TEST_KIND"), &k); err != nil {
		t.Skip("a part of TestAcceptSurvivesAWantOfDescriptors")
	}
	limit := unix.Rlimit{Cur: 64, Max: 64}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	l := start(t, k)
	addr := serve(t, l, echo())
	first := dial(t, addr)
	roundTrip(t, first, []byte("x"))
	fill := func() (fds []int) {
		for {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			if err != nil {
				return fds
			}
			fds = append(fds, fd)
		}
	}
	fds := fill()
	// One descriptor for a client; none is left for the server.
	if err := unix.Connect(fds[0], &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(addr.Port())}); err != nil {
		t.Fatal(err)
	}
	stops := func() (n uint64) {
		on(l, func() { n = l.Stats().AcceptStops })
		return n
	}
	settles(t, "accepting has stopped", func() bool { return stops() > 0 })
	roundTrip(t, first, []byte("still served"))
	for _, fd := range fds[1:] {
		unix.Close(fd)
	}
	_, _ = unix.Write(fds[0], []byte("hello"))
	b := make([]byte, 5)
	if n, err := unix.Read(fds[0], b); n != 5 || err != nil {
		t.Fatalf("read %d, %v", n, err)
	}
	fmt.Println("resumed after", stops(), "stops")
}

func TestAPausedListenerLeavesConnectionsInItsQueue(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		fd, addr := listener(t, 16)
		var ln *Listener
		accepted := 0
		on(l, func() {
			var err error
			ln, err = l.Listen(fd, func(c *Conn, peer netip.AddrPort) {
				accepted++
				if !peer.IsValid() || peer != c.Peer() {
					t.Errorf("peer %v, c.Peer %v", peer, c.Peer())
				}
				c.SetHandler(echo())
			})
			if err != nil {
				t.Error(err)
			}
			ln.Pause()
		})
		on(l, func() {})
		c := dial(t, addr)
		c.Write([]byte("hello"))
		on(l, func() {
			if accepted != 0 {
				t.Error("a paused listener accepted")
			}
			ln.Resume()
		})
		b := make([]byte, 5)
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
		on(l, func() { ln.Close(); ln.Resume() })
		if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); n != 1 || err != nil {
			t.Errorf("after Close the socket is no open listener: %d, %v", n, err)
		}
	})
}

func TestListenersThatAreClosedLeaveNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		for i := range 50 {
			fd, addr := listener(t, 16)
			var ln *Listener
			on(l, func() {
				for range 1 + i%2 { // one that is closed before the kernel has heard of it, too
					if ln != nil {
						ln.Close()
					}
					var err error
					if ln, err = l.Listen(fd, func(c *Conn, _ netip.AddrPort) { c.SetHandler(echo()) }); err != nil {
						t.Error(err)
					}
				}
			})
			c := dial(t, addr)
			c.Write([]byte("hello"))
			if n, err := io.ReadFull(c, make([]byte, 5)); err != nil {
				t.Fatalf("listener %d: read %d, %v", i, n, err)
			}
			on(l, func() { ln.Close(); ln.Close() })
			settles(t, "it is known for closed", func() (is bool) {
				on(l, func() { is = !ln.flying })
				return is
			})
		}
		on(l, func() {
			if n := len(l.listeners); n > 2 {
				t.Errorf("%d listeners are remembered", n)
			}
		})
	})
}

func TestAConnectionWithoutAHandlerIsClosed(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		fd, addr := listener(t, 16)
		on(l, func() { _, _ = l.Listen(fd, func(*Conn, netip.AddrPort) {}) })
		if n, err := dial(t, addr).Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("read %d, %v", n, err)
		}
	})
}

func TestAPortIsFreeAgainAfterClose(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		fd, addr := listener(t, 16)
		l, err := New(Options{Kind: k})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Listen(fd, func(c *Conn, _ netip.AddrPort) { c.SetHandler(echo()) }); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- l.Run() }()
		on(l, func() { l.Stop() })
		if err := within(t, done, "the end of Run"); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		unix.Close(fd)
		again, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(again)
		if err := unix.Bind(again, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(addr.Port())}); err != nil {
			t.Error(err)
		}
	})
}

func TestASocketThatDoesNotListenIsNotAskedForEver(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		fd, _ := listener(t, 16)
		on(l, func() { _, _ = l.Listen(fd, func(*Conn, netip.AddrPort) {}) })
		_ = unix.Shutdown(fd, unix.SHUT_RDWR)
		stats := func() (s Stats) { on(l, func() { s = l.Stats() }); return s }
		settles(t, "accepting has stopped", func() bool { return stats().AcceptStops > 0 })
		before := stats().Iterations
		if n := stats().Iterations - before; n > 50 {
			t.Errorf("%d iterations", n)
		}
	})
}
