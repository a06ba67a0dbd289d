package ipvs

import (
	"net/netip"
	"slices"
	"time"
)

// cache remembers something for each destination address: a backend for lblc, a
// set of them for lblcr. Kernel: what net/netfilter/ipvs/ip_vs_lblc.c and
// ip_vs_lblcr.c have in common.
//
// A cache of 24 Ki entries takes no more; an address that has none is then
// scheduled anew for each flow. (Since 2026, "ipvs: bound LBLCR and LBLC cache
// growth", also in Debian 12's 6.1.192.)
//
// A timer looks every 60 s since the service was made. Every 30th time it
// forgets what was not used for the expiration time. At other times, if there
// are more than 16 Ki entries, it goes through the buckets from where it stopped
// last and forgets what was not used for 6 minutes, until 4/3 of the surplus have
// gone (at most 8 Ki, but always whole buckets). A time with such a search does
// not count towards the 30. The timer's work is done when the clock is next
// looked at, which comes to the same: nobody sees the cache in between.
//
// No guest has confirmed the bound and the timer, which take minutes.
type cache[T any] struct {
	buckets [1 << cacheBits][]*entry[T]
	entries int
	rover   int
	counter int
	ticked  time.Duration
}

type entry[T any] struct {
	addr     netip.Addr
	value    T
	lastUsed time.Duration
}

const (
	cacheBits      = 10
	cacheSize      = 16 << cacheBits
	cacheLimit     = cacheSize * 3 / 2
	cacheInterval  = 60 * time.Second
	cacheShortLife = 6 * time.Minute
	cacheFullTicks = 30
)

func newCache[T any]() *cache[T] { return &cache[T]{counter: 1} }

func bucket(a netip.Addr) uint32 { return hash32(fold(a), cacheBits) }

func (c *cache[T]) get(a netip.Addr) *entry[T] {
	for _, e := range c.buckets[bucket(a)] {
		if e.addr == a {
			return e
		}
	}
	return nil
}

// put adds an entry for an address that has none, unless the cache is full.
func (c *cache[T]) put(e *entry[T]) {
	if c.entries >= cacheLimit {
		return
	}
	b := bucket(e.addr)
	c.buckets[b] = slices.Insert(c.buckets[b], 0, e)
	c.entries++
}

func (c *cache[T]) drop(e *entry[T]) {
	b := bucket(e.addr)
	c.buckets[b] = slices.DeleteFunc(c.buckets[b], func(o *entry[T]) bool { return o == e })
	c.entries--
}

// advance does what the timer did until now.
func (c *cache[T]) advance(now, expiration time.Duration) {
	for c.ticked+cacheInterval <= now {
		c.ticked += cacheInterval
		c.tick(c.ticked, expiration)
	}
}

func (c *cache[T]) tick(now, expiration time.Duration) {
	if c.counter%cacheFullTicks == 0 {
		c.sweep(now-expiration, len(c.buckets)*cacheSize)
		c.counter = 1
		return
	}
	if c.entries <= cacheSize {
		c.counter++
		return
	}
	c.sweep(now-cacheShortLife, min((c.entries-cacheSize)*4/3, cacheSize/2))
}

// sweep forgets entries last used at oldest or before, bucket by bucket, until
// goal of them have gone.
func (c *cache[T]) sweep(oldest time.Duration, goal int) {
	for range c.buckets {
		c.rover = (c.rover + 1) % len(c.buckets)
		kept := slices.DeleteFunc(c.buckets[c.rover], func(e *entry[T]) bool { return e.lastUsed <= oldest })
		gone := len(c.buckets[c.rover]) - len(kept)
		c.buckets[c.rover] = kept
		c.entries -= gone
		if goal -= gone; goal <= 0 {
			return
		}
	}
}
