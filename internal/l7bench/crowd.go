package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// crowd are connections over which one request has gone, and that wait.
type crowd []net.Conn

func gather(front string, n int) (crowd, error) {
	conns := make(crowd, n)
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	const together = 16
	for k := range together {
		all.Go(func() {
			for i := k; i < n; i += together {
				c, err := visit(front)
				mu.Lock()
				if conns[i] = c; err != nil && failed == nil {
					failed = fmt.Errorf("open idle connection %d: %w", i, err)
				}
				stop := failed != nil
				mu.Unlock()
				if stop {
					return
				}
			}
		})
	}
	all.Wait()
	if failed != nil {
		conns.close()
	}
	return conns, failed
}

func visit(front string) (net.Conn, error) {
	c, err := net.Dial("tcp", front)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return c, err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 1024), nil)
	if err != nil {
		return c, err
	}
	return c, resp.Body.Close()
}

func (c crowd) close() {
	for _, conn := range c {
		if conn != nil {
			conn.Close()
		}
	}
}
