package loop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAConnectionIsNotQuietBeforeItsDataWasHandedOut(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		var conns [2]*Conn
		var peers [2]int
		heard := make(chan [2]bool, 2) // of the other one: was it heard of, was it quiet
		var had [2]bool
		for i := range conns {
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			mine := pair[0]
			peers[i] = pair[1]
			defer unix.Close(pair[1])
			on(l, func() {
				c, err := l.Adopt(mine, &calls{data: func(*Conn, []byte) {
					had[i] = true
					heard <- [2]bool{had[1-i], conns[1-i].Quiet()}
				}})
				if err != nil {
					t.Error(err)
				}
				conns[i] = c
			})
		}
		time.Sleep(10 * time.Millisecond)
		on(l, func() {
			for i, c := range conns {
				if !c.Quiet() {
					t.Errorf("connection %d is not quiet, and nothing was sent", i)
				}
			}
			if n := testing.AllocsPerRun(100, func() { conns[0].Quiet() }); n != 0 {
				t.Errorf("to ask costs %v allocations", n)
			}
			for _, fd := range peers { // both are there when the loop looks again
				if _, err := unix.Write(fd, []byte("x")); err != nil {
					t.Error(err)
				}
			}
			for i, c := range conns {
				if c.Quiet() {
					t.Errorf("connection %d is quiet, and its socket has data", i)
				}
			}
		})
		for range 2 {
			if h := <-heard; h[0] != h[1] {
				t.Errorf("heard of %v, quiet %v", h[0], h[1])
			}
		}
	})
}
