package proxy

import (
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
	"lbctl/internal/scoreboard"
)

// bufferSize is that of the buffers in which unfinished heads, and requests that
// may have to be sent again, are kept. A few lines longer than most heads.
const bufferSize = 4 << 10

// Core is what the connections of one thread share.
type Core struct {
	driver     Driver
	complaints Complaints       // nil: nobody hears them
	slot       *scoreboard.Slot // where what is over is counted; nil: nowhere
	random     uint64           // state of the generator

	// Scratch of the event that is being handled.
	request  http1.Request
	response http1.Response
	head     []byte   // a head being made, chunk heads
	pieces   [][]byte // to be written together
	record   accesslog.Record

	path, rewritten []byte // of the request, if it is another than was sent
	hops            []byte // its Max-Forwards

	clients   list[ClientConn]
	active    int // exchanges under way
	pools     map[*Endpoint]*pool
	exchanges stock[*Exchange]
	parsers   stock[*http1.Parser]
	spares    stock[*ClientConn]
	buffers   stock[[]byte]
	date      date
	queues    queues
}

// NewCore makes the Core of one thread. seed makes its random numbers.
func NewCore(d Driver, seed uint64) *Core {
	return &Core{
		driver: d, random: seed, pools: map[*Endpoint]*pool{}, head: make([]byte, 0, bufferSize),
		queues: queues{waiting: map[Account][]*Exchange{}},
	}
}

// CountIn has what is over from now on counted in the thread's slot.
func (c *Core) CountIn(slot *scoreboard.Slot) { c.slot = slot }

// Clients is how many client connections are open.
func (c *Core) Clients() int { return c.clients.n }

// Active is how many requests are under way.
func (c *Core) Active() int { return c.active }

// draw is a random word (splitmix64).
func (c *Core) draw() uint64 {
	c.random += 0x9e3779b97f4a7c15
	z := c.random
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// buffer returns an empty one.
func (c *Core) buffer() []byte {
	if b, ok := c.buffers.get(); ok {
		return b[:0]
	}
	return make([]byte, 0, bufferSize)
}

// release takes a buffer back, unless it has grown. Nil is none.
func (c *Core) release(b []byte) {
	if cap(b) == bufferSize {
		c.buffers.put(b)
	}
}

// parser returns a fresh one.
func (c *Core) parser(l *http1.Limits) *http1.Parser {
	p, ok := c.parsers.get()
	if !ok {
		return &http1.Parser{Limits: l}
	}
	p.Limits = l
	return p
}

// exchange returns a fresh Exchange.
func (c *Core) exchange() *Exchange {
	c.active++
	if x, ok := c.exchanges.get(); ok {
		return x
	}
	x := &Exchange{core: c}
	x.late = x.overdue
	return x
}

// client returns a fresh ClientConn.
func (c *Core) client() *ClientConn {
	if k, ok := c.spares.get(); ok {
		*k = ClientConn{}
		return k
	}
	return &ClientConn{}
}

// Trim lets go of what a peak has left: half of it each time. It is to be called
// about every second by a thread that serves many clients at a time; one that
// serves few has next to nothing.
func (c *Core) Trim() {
	c.exchanges.trim()
	c.parsers.trim()
	c.spares.trim()
	c.buffers.trim()
}

// recycle takes back an exchange that is over and that nobody refers to.
func (c *Core) recycle(x *Exchange) {
	c.active--
	c.release(x.out)
	c.release(x.in)
	c.release(x.trace.text)
	tried := x.tried[:0]
	*x = Exchange{core: c, tried: tried, late: x.late}
	c.exchanges.put(x)
}

// date makes Date's value once a second.
type date struct {
	until int64 // of the driver's clock
	text  []byte
}

func (c *Core) appendDate(dst []byte) []byte {
	if now := c.driver.Now(); now >= c.date.until {
		wall := time.Now()
		c.date.text = http1.AppendDate(c.date.text[:0], wall)
		c.date.until = now + int64(time.Second) - int64(wall.Nanosecond())
	}
	return append(dst, c.date.text...)
}
