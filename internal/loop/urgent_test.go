package loop

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A read ends in front of a byte that is urgent, however much is behind it.
func TestWhatIsBehindUrgentDataComes(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		fd, addr := listener(t, 1)
		came := make(chan string, 8)
		on(l, func() {
			_, err := l.Listen(fd, func(c *Conn, _ netip.AddrPort) {
				c.SetHandler(&calls{data: func(c *Conn, b []byte) { came <- string(b) }})
			})
			if err != nil {
				t.Error(err)
			}
		})
		peer := dial(t, addr)
		if _, err := peer.Write([]byte("0")); err != nil {
			t.Fatal(err)
		}
		if got := <-came; got != "0" {
			t.Errorf("%q came", got)
		}
		raw, err := peer.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		on(l, func() { // all is there when the loop looks again
			for _, m := range []struct {
				text string
				how  int
			}{{"before", 0}, {"!", unix.MSG_OOB}, {"behind", 0}} {
				_ = raw.Control(func(fd uintptr) {
					if err := unix.Sendto(int(fd), []byte(m.text), m.how, nil); err != nil {
						t.Error(err)
					}
				})
			}
			time.Sleep(10 * time.Millisecond)
		})
		deadline := time.After(5 * time.Second)
		for all := ""; all != "beforebehind"; {
			select {
			case s := <-came:
				all += s
			case <-deadline:
				t.Fatalf("%q came", all)
			}
		}
	})
}

// Whoever sends urgent data, and then as much as is read, gets no more turns than others.
func TestUrgentDataDoesNotHoldTheLoop(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		fd, addr := listener(t, 1)
		var most atomic.Int64 // reads in one iteration
		came := make(chan bool, 1)
		on(l, func() {
			var turn uint64
			reads := int64(0)
			_, err := l.Listen(fd, func(c *Conn, _ netip.AddrPort) {
				c.SetHandler(&calls{data: func(*Conn, []byte) {
					if now := l.Stats().Iterations; now != turn {
						turn, reads = now, 0
					}
					reads++
					most.Store(max(most.Load(), reads))
					select {
					case came <- true:
					default:
					}
					for began := time.Now(); time.Since(began) < 20*time.Microsecond; { // meanwhile more comes
					}
				}})
			})
			if err != nil {
				t.Error(err)
			}
		})
		peer := dial(t, addr)
		if _, err := peer.Write([]byte("0")); err != nil {
			t.Fatal(err)
		}
		<-came
		raw, err := peer.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.Control(func(fd uintptr) {
			if err := unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil); err != nil {
				t.Error(err)
			}
		})
		b := make([]byte, 2000)
		for began := time.Now(); time.Since(began) < 200*time.Millisecond; {
			if _, err := peer.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		if n := most.Load(); k == Epoll && n > 2 { // io_uring completes what has come in pieces
			t.Errorf("%d reads in one iteration", n)
		}
	})
}
