package loop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWhatHasComeInTimeIsNotTooLateForALoopThatWasHeldUp(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pair[1])
		heard := make(chan string, 2)
		on(l, func() {
			c, err := l.Adopt(pair[0], &calls{
				data:    func(c *Conn, _ []byte) { heard <- "data"; c.Deadline(0) },
				expired: func(*Conn) { heard <- "too late" },
			})
			if err != nil {
				t.Error(err)
				return
			}
			c.Deadline(50 * time.Millisecond)
		})
		on(l, func() {
			_, _ = unix.Write(pair[1], []byte("x"))
			time.Sleep(150 * time.Millisecond)
		})
		if got := within(t, heard, "data"); got != "data" {
			t.Error(got)
		}
		time.Sleep(50 * time.Millisecond)
		if len(heard) > 0 {
			t.Error(<-heard)
		}
	})
}
