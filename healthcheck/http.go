package healthcheck

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"lbctl/internal/lb"
)

const (
	userAgent   = "lbctl-check"
	bodyLimit   = 64 << 10  // what a body pattern can see
	answerLimit = 256 << 10 // read from a connection at most: heads, and the body's framing with it
	defaultMin  = 200       // of the status range, if it is not set
	defaultMax  = 399
)

// httpChecker sends one request on a connection of its own, since a server
// that accepts no new connections is not up, and judges the answer. A redirect
// is an answer like any other. Without a body pattern the head alone decides.
type httpChecker struct {
	probe     lb.HTTPProbe
	addr      string
	dial      Dial
	header    map[string]*regexp.Regexp
	headers   []string // names in header, sorted: the same answer has the same reason
	body      *regexp.Regexp
	operation string // "GET http://198.18.4.1:80/healthz"
}

func newHTTPChecker(p lb.HTTPProbe, addr string, dial Dial) (*httpChecker, error) {
	p.Method = cmp.Or(p.Method, http.MethodGet)
	p.Path = cmp.Or(p.Path, "/")
	p.StatusMin = cmp.Or(p.StatusMin, defaultMin)
	p.StatusMax = cmp.Or(p.StatusMax, defaultMax)
	c := &httpChecker{probe: p, addr: addr, dial: dial, header: map[string]*regexp.Regexp{}}
	switch {
	case p.Method != http.MethodGet && p.Method != http.MethodHead:
		return nil, fmt.Errorf("method %q: want GET or HEAD", p.Method)
	case p.Method == http.MethodHead && p.Body != "":
		return nil, errors.New("an answer to HEAD has no body to match")
	case !strings.HasPrefix(p.Path, "/"):
		return nil, fmt.Errorf("path %q: must begin with /", p.Path)
	case p.StatusMin < 100 || p.StatusMax > 599 || p.StatusMin > p.StatusMax:
		return nil, fmt.Errorf("status range %d-%d: want one within 100-599", p.StatusMin, p.StatusMax)
	}
	if _, err := url.ParseRequestURI(p.Path); err != nil {
		return nil, fmt.Errorf("path %q: %w", p.Path, errors.Unwrap(err))
	}
	for name, pattern := range p.Header {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		c.header[name] = re
	}
	c.headers = slices.Sorted(maps.Keys(c.header))
	if p.Body != "" {
		re, err := regexp.Compile(p.Body)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		c.body = re
	}
	c.operation = p.Method + " http://" + addr + p.Path
	return c, nil
}

func (c *httpChecker) Check(ctx context.Context) error {
	conn, err := c.dial(ctx, "tcp", c.addr)
	if err != nil {
		return fmt.Errorf("connect %s: %s", c.addr, cause(ctx, err))
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends whatever reads or writes
	resp, err := c.exchange(conn)
	if err != nil {
		return fmt.Errorf("%s: %s", c.operation, cause(ctx, err))
	}
	return c.judge(ctx, resp)
}

// exchange writes the request and reads the head of the final answer. It does
// without net/http's Transport, whose dials go on after a request's context has ended.
func (c *httpChecker) exchange(conn net.Conn) (*http.Response, error) {
	req, err := http.NewRequest(c.probe.Method, "http://"+c.addr+c.probe.Path, nil)
	if err != nil {
		return nil, err
	}
	req.Host = c.probe.Host
	req.Close = true
	req.Header.Set("User-Agent", userAgent)
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	answer := bufio.NewReader(io.LimitReader(conn, answerLimit))
	for {
		resp, err := http.ReadResponse(answer, req)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

func (c *httpChecker) judge(ctx context.Context, resp *http.Response) error {
	if s := resp.StatusCode; s < c.probe.StatusMin || s > c.probe.StatusMax {
		return fmt.Errorf("%s: status %d, want %d-%d", c.operation, s, c.probe.StatusMin, c.probe.StatusMax)
	}
	for _, name := range c.headers {
		if !slices.ContainsFunc(resp.Header.Values(name), c.header[name].MatchString) {
			return fmt.Errorf("%s: header %s %q does not match %q", c.operation, name, resp.Header.Values(name), c.header[name])
		}
	}
	if c.body == nil {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	if err != nil {
		return fmt.Errorf("%s: read body: %s", c.operation, cause(ctx, err))
	}
	if !c.body.Match(body) {
		return fmt.Errorf("%s: body (%d bytes read) does not match %q", c.operation, len(body), c.body)
	}
	return nil
}
