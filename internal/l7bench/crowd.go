package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	visitTime  = 5 * time.Second // for one connection and its answer
	gatherTime = time.Minute     // for all of them
)

// crowd are connections over which one request has been answered, and that wait.
type crowd []net.Conn

// tooMany says that an engine did not hold as many connections as it was to.
type tooMany struct {
	held, wanted int
	why          error
}

func (t *tooMany) Error() string {
	return fmt.Sprintf("holds %d connections of %d: %v", t.held, t.wanted, t.why)
}

func (t *tooMany) Unwrap() error { return t.why }

// gather opens n connections, and gives up at the first that gets no answer. The
// error is a tooMany then.
func gather(ctx context.Context, front string, n int) (crowd, error) {
	ctx, cancel := context.WithTimeout(ctx, gatherTime)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	conns := make(crowd, n)
	var held atomic.Int64
	var all sync.WaitGroup
	const together = 16
	for k := range together {
		all.Go(func() {
			for i := k; i < n && ctx.Err() == nil; i += together {
				c, err := visit(ctx, front)
				if conns[i] = c; err != nil {
					fail(err)
					return
				}
				held.Add(1)
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		conns.close()
		return nil, &tooMany{int(held.Load()), n, context.Cause(ctx)}
	}
	return conns, nil
}

func visit(ctx context.Context, front string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", front)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return c, err
	}
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return c, err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 1024), nil)
	if err != nil {
		return c, err
	}
	if err := resp.Body.Close(); err != nil {
		return c, err
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return c, fmt.Errorf("the answer is %s", resp.Status)
	case resp.Close:
		return c, errors.New("the connection is not kept")
	}
	return c, nil
}

// gone is how many connections the other end has closed meanwhile.
func (c crowd) gone() (n int) {
	for _, conn := range c {
		if raw, err := conn.(syscall.Conn).SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				var b [1]byte
				if _, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT); err != unix.EAGAIN {
					n++
				}
			})
		}
	}
	return n
}

func (c crowd) close() {
	for _, conn := range c {
		if conn != nil {
			conn.Close()
		}
	}
}
