package supervise

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// client dials in loops until it is told to stop.
type client struct {
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	masters map[int]int // answers by master
	served  int
	resets  int   // accepted by a process that was killed
	failed  error // the first other failure
}

func dialInALoop(addr netip.AddrPort) *client {
	c := &client{stop: make(chan struct{}), masters: map[int]int{}}
	for range 3 {
		c.done.Go(func() {
			for {
				select {
				case <-c.stop:
					return
				default:
					c.once(addr)
				}
			}
		})
	}
	return c
}

func (c *client) once(addr netip.AddrPort) {
	master, _, err := ask(addr)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.served++
		c.masters[master]++
	case errors.Is(err, unix.ECONNRESET) || errors.Is(err, errNoAnswer):
		c.resets++
	case c.failed == nil:
		c.failed = err
	}
}

var errNoAnswer = errors.New("no answer")

// ask returns who serves.
func ask(addr netip.AddrPort) (master, child int, err error) {
	conn, err := net.DialTimeout("tcp", addr.String(), 5*time.Second)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fscan(conn, &master, &child); err != nil {
		return 0, 0, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return master, child, nil
}

// end stops the loop and wants every connection to have been served, but for
// those resets.
func (c *client) end(t *testing.T, resets int) {
	t.Helper()
	close(c.stop)
	c.done.Wait()
	t.Logf("%d connections served, %d reset", c.served, c.resets)
	if c.failed != nil {
		t.Errorf("a connection was not served: %v", c.failed)
	}
	if c.resets > resets || c.served == 0 {
		t.Errorf("%d connections were served and %d reset, want some and at most %d", c.served, c.resets, resets)
	}
}
