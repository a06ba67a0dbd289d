package l7

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestABellThatIsClosedRingsAtNobodyElses(t *testing.T) {
	b, err := newBell()
	if err != nil {
		t.Fatal(err)
	}
	was := b.fd
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					b.post(func() {})
				}
			}
		})
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
	// The descriptor's number is the next one's that is opened.
	other, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	b.post(func() {})
	close(stop)
	all.Wait()
	var n [8]byte
	if _, err := unix.Read(other, n[:]); err != unix.EAGAIN {
		t.Errorf("descriptor %d, which was the bell's %d, was rung: %v", other, was, err)
	}
}
