package loop

import (
	"net/netip"
	"testing"
)

// sharing starts two loops that accept at one socket, and tells how many clients each has had.
func sharing(t *testing.T, k Kind) (loops [2]*Loop, doors [2]*Listener, addr netip.AddrPort, had func(i int) uint64) {
	fd, addr := listener(t, 4096)
	for i := range loops {
		l := startWith(t, Options{Kind: k})
		var err error
		on(l, func() { doors[i], err = l.Listen(fd, func(c *Conn, _ netip.AddrPort) { c.SetHandler(echo()) }) })
		if err != nil {
			t.Fatal(err)
		}
		on(l, func() {}) // an iteration later the kernel knows
		loops[i] = l
	}
	return loops, doors, addr, func(i int) (n uint64) {
		on(loops[i], func() { n = loops[i].Stats().Accepted })
		return n
	}
}

func TestLoopsThatShareASocketShareItsClients(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		_, _, addr, had := sharing(t, k)
		const clients = 128
		for range clients {
			roundTrip(t, dial(t, addr), []byte("hello"))
		}
		first, second := had(0), had(1)
		t.Logf("of %d clients, one after another, the loops got %d and %d", clients, first, second)
		if first+second != clients || min(first, second) < clients/4 {
			t.Errorf("of %d clients the loops got %d and %d", clients, first, second)
		}
	})
}

// holdUp keeps a loop from running while f does.
func holdUp(t *testing.T, l *Loop, f func()) {
	t.Helper()
	held, release := make(chan bool), make(chan bool)
	l.Post(func() { held <- true; <-release })
	within(t, held, "the loop")
	defer on(l, func() {})
	defer close(release)
	f()
}

// A client may wait for a loop that does not run, but only until the next one comes.
func TestALoopThatIsHeldUpHoldsUpNoClientForLongerThanUntilTheNext(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		loops, _, addr, had := sharing(t, k)
		for i := range 6 {
			before := had(i % 2)
			holdUp(t, loops[i%2], func() {
				last := dial(t, addr)
				for range 4 {
					next := dial(t, addr)
					roundTrip(t, last, []byte("hello"))
					last = next
				}
				if n := loops[i%2].Stats().Accepted; n != before {
					t.Errorf("a loop that is held up has accepted %d clients", n-before)
				}
			})
		}
	})
}

func TestALoopThatLooksServesWhoWaitsForOneThatIsHeldUp(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		loops, doors, addr, had := sharing(t, k)
		for i := range 6 {
			holdUp(t, loops[i%2], func() {
				other := (i + 1) % 2
				before := had(other)
				c := dial(t, addr)
				settles(t, "the client is accepted", func() bool {
					on(loops[other], doors[other].Look)
					return had(other) > before
				})
				roundTrip(t, c, []byte("hello"))
			})
		}
	})
}
