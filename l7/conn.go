package l7

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"lbctl/internal/balance"
)

// clientConn is a connection that a client made. It counts the service's bytes
// and remembers what every request on it needs to know about the client.
type clientConn struct {
	*net.TCPConn
	front *frontend
	key   balance.Key
	ip    string // for X-Forwarded-For
}

func newClientConn(c *net.TCPConn, front *frontend) *clientConn {
	var addr netip.AddrPort
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		addr = a.AddrPort()
	}
	src := addr.Addr().Unmap()
	return &clientConn{c, front, balance.Key{Src: src, SrcPort: addr.Port()}, src.String()}
}

func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.front.counters.Load().bytesIn.Add(uint64(n))
	return n, err
}

func (c *clientConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.front.counters.Load().bytesOut.Add(uint64(n))
	return n, err
}

type clientKey struct{}

// withClient is an http.Server's ConnContext.
func withClient(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, c)
}

func clientOf(ctx context.Context) *clientConn {
	return ctx.Value(clientKey{}).(*clientConn)
}

// backendConn is a connection that a pool made. It counts the backend's bytes:
// in is towards the backend, out towards the client.
type backendConn struct {
	net.Conn
	pool *pool
}

func (c *backendConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.pool.counters.bytesOut.Add(uint64(n))
	return n, err
}

func (c *backendConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.pool.counters.bytesIn.Add(uint64(n))
	return n, err
}

func (c *backendConn) Close() error {
	c.pool.forget(c)
	return c.Conn.Close()
}

// listen opens a listener without multipath TCP (FACTS.md). Keep-alive and the
// stall timeout are set on the listening socket, from which Linux lets accepted
// ones inherit them: that saves four calls per connection.
func listen(addr netip.AddrPort) (*net.TCPListener, error) {
	lc := net.ListenConfig{
		KeepAlive: -1,
		Control: func(_, _ string, raw syscall.RawConn) error {
			return setOptions(raw, [][3]int{
				{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
				{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 60},
				{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
				{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 4},
				{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stallTimeout.Milliseconds())},
			})
		},
	}
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), tcpNetwork(addr), addr.String())
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// tcpNetwork keeps a socket from serving the other address family as well.
func tcpNetwork(addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return "tcp4"
	}
	return "tcp6"
}

func setOptions(raw syscall.RawConn, options [][3]int) error {
	var err error
	controlErr := raw.Control(func(fd uintptr) {
		for _, o := range options {
			if err == nil {
				err = unix.SetsockoptInt(int(fd), o[0], o[1], o[2])
			}
		}
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}
