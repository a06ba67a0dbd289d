package proxy

import (
	"time"

	"lbctl/internal/accesslog"
	"lbctl/internal/http1"
)

// bufferSize is that of the buffers in which unfinished heads, and requests that
// may have to be sent again, are kept. A few lines longer than most heads.
const bufferSize = 4 << 10

// maxSpareBuffers bounds what a thread keeps of them.
const maxSpareBuffers = 256

// Core is what the connections of one thread share.
type Core struct {
	driver     Driver
	complaints Complaints // nil: nobody hears them
	random     uint64     // state of the generator

	// Scratch of the event that is being handled.
	request  http1.Request
	response http1.Response
	head     []byte   // a head being made, chunk heads
	pieces   [][]byte // to be written together
	record   accesslog.Record

	path, rewritten []byte // of the request, if it is another than was sent

	clients   list[ClientConn]
	active    int // exchanges under way
	pools     map[*Endpoint]*pool
	exchanges []*Exchange     // spare
	parsers   []*http1.Parser // spare
	spares    []*ClientConn
	buffers   [][]byte // spare
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
	if n := len(c.buffers); n > 0 {
		b := c.buffers[n-1]
		c.buffers = c.buffers[:n-1]
		return b[:0]
	}
	return make([]byte, 0, bufferSize)
}

// release takes a buffer back, unless it has grown. Nil is none.
func (c *Core) release(b []byte) {
	if cap(b) == bufferSize && len(c.buffers) < maxSpareBuffers {
		c.buffers = append(c.buffers, b)
	}
}

// parser returns a fresh one.
func (c *Core) parser(l *http1.Limits) *http1.Parser {
	n := len(c.parsers)
	if n == 0 {
		return &http1.Parser{Limits: l}
	}
	p := c.parsers[n-1]
	c.parsers = c.parsers[:n-1]
	p.Limits = l
	return p
}

// maxSpareParsers bounds what a thread keeps of them.
const maxSpareParsers = 256

// retire takes a parser back that is ready for the next head.
func (c *Core) retire(p *http1.Parser) {
	if len(c.parsers) < maxSpareParsers {
		c.parsers = append(c.parsers, p)
	}
}

// exchange returns a fresh Exchange.
func (c *Core) exchange() *Exchange {
	c.active++
	if n := len(c.exchanges); n > 0 {
		x := c.exchanges[n-1]
		c.exchanges = c.exchanges[:n-1]
		return x
	}
	x := &Exchange{core: c}
	x.late = x.overdue
	return x
}

// client returns a fresh ClientConn.
func (c *Core) client() *ClientConn {
	if n := len(c.spares); n > 0 {
		k := c.spares[n-1]
		c.spares = c.spares[:n-1]
		*k = ClientConn{}
		return k
	}
	return &ClientConn{}
}

// maxSpareClients bounds what a thread keeps of those that have ended.
const maxSpareClients = 1024

// recycle takes back an exchange that is over and that nobody refers to.
func (c *Core) recycle(x *Exchange) {
	c.active--
	c.release(x.out)
	c.release(x.in)
	c.release(x.trace.text)
	tried := x.tried[:0]
	*x = Exchange{core: c, tried: tried, late: x.late}
	c.exchanges = append(c.exchanges, x)
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
