package l7

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"lbctl/internal/lb"
)

// answerTimeout bounds what a proxy that hangs can cost.
const answerTimeout = 10 * time.Second

// client speaks the control protocol.
type client struct{ http http.Client }

func newClient(socket string) *client { return newPatientClient(socket, answerTimeout) }

// newPatientClient waits so long for the head of an answer.
func newPatientClient(socket string, patience time.Duration) *client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	// The pool of one connection would outlive a proxy that was killed.
	return &client{http.Client{Transport: &http.Transport{
		DialContext: dial, DisableKeepAlives: true, ResponseHeaderTimeout: patience,
	}}}
}

func (c *client) apply(ctx context.Context, s lb.Snapshot) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, pathSnapshot, bytes.NewReader(body), nil)
}

func (c *client) snapshot(ctx context.Context) (s lb.Snapshot, err error) {
	err = c.call(ctx, http.MethodGet, pathSnapshot, nil, &s)
	return s, err
}

func (c *client) stats(ctx context.Context) (s lb.Stats, err error) {
	err = c.call(ctx, http.MethodGet, pathStats, nil, &s)
	return s, err
}

func (c *client) workers(ctx context.Context) (w Workers, err error) {
	err = c.call(ctx, http.MethodGet, pathWorkers, nil, &w)
	return w, err
}

// watch returns who answers at the socket, and a lifeline that ends when that process
// does. The caller closes it.
func (c *client) watch(ctx context.Context) (processInfo, *lifeline, error) {
	var info processInfo
	resp, err := c.do(ctx, http.MethodGet, pathWatch, nil)
	if err != nil {
		return info, nil, err
	}
	l := &lifeline{resp.Body, json.NewDecoder(resp.Body)}
	if err := l.in.Decode(&info); err != nil {
		l.Close()
		return info, nil, fmt.Errorf("watch proxy: %w", err)
	}
	return info, l, nil
}

func (c *client) call(ctx context.Context, method, path string, body io.Reader, into any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// do returns a response whose status is 2xx; any other is an error with the
// proxy's own words.
func (c *client) do(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://l7"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return nil, errors.New(strings.TrimSpace(string(text)))
	}
	return resp, nil
}
