package ctl

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"lbctl/internal/lb"
)

// answerTimeout is how long a daemon may take over anything that is not made for
// waiting. One that takes longer is stopped or stuck, and its caller must know.
const answerTimeout = 10 * time.Second

// Client speaks to a daemon. Its methods are safe for concurrent use; an error
// that the daemon answered holds a *Problem.
type Client struct {
	http     *http.Client
	base     string
	token    string
	where    string        // for error messages
	patience time.Duration // answerTimeout
}

// Dial returns a client of the daemon at a unix socket. It connects on first use.
func Dial(socket string) *Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	return &Client{http: &http.Client{Transport: transport}, base: "http://lbctl", where: socket, patience: answerTimeout}
}

// DialTCP returns a client of the daemon that published its API at addr.
func DialTCP(addr, token string) *Client {
	return &Client{http: &http.Client{Transport: &http.Transport{}}, base: "http://" + addr, token: token, where: addr, patience: answerTimeout}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Version asks who answers.
func (c *Client) Version(ctx context.Context) (v Version, err error) {
	return v, c.call(ctx, http.MethodGet, "/v1/version", nil, &v)
}

// Status returns what the daemon knows.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Services returns the services of the Status.
func (c *Client) Services(ctx context.Context) (s []ServiceStatus, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/services", nil, &s)
}

// Stats returns the planes' counters.
func (c *Client) Stats(ctx context.Context) (s Stats, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/stats", nil, &s)
}

// Config returns the desired configuration and the tag that ConfigureIf takes.
func (c *Client) Config(ctx context.Context) (config lb.Config, etag string, err error) {
	ctx, cancel := c.within(ctx, 0)
	defer cancel()
	resp, err := c.do(ctx, http.MethodGet, "/v1/config", nil, nil)
	if err != nil {
		return config, "", err
	}
	defer drain(resp.Body)
	return config, resp.Header.Get("ETag"), c.decode(resp, &config)
}

// Configure makes config the desired configuration.
func (c *Client) Configure(ctx context.Context, config lb.Config) (Configured, error) {
	return c.ConfigureIf(ctx, "", config)
}

// ConfigureIf is Configure unless the configuration is no longer the one that
// etag was returned with; then the Problem's status is 412.
func (c *Client) ConfigureIf(ctx context.Context, etag string, config lb.Config) (result Configured, err error) {
	ctx, cancel := c.within(ctx, 0)
	defer cancel()
	header := http.Header{}
	if etag != "" {
		header.Set("If-Match", etag)
	}
	resp, err := c.do(ctx, http.MethodPut, "/v1/config", header, config)
	if err != nil {
		return result, err
	}
	defer drain(resp.Body)
	return result, c.decode(resp, &result)
}

// SetBackend changes the admin state, the weight, or both of one backend and
// returns the revision that holds the change.
func (c *Client) SetBackend(ctx context.Context, service, backend string, patch BackendPatch) (uint64, error) {
	var r Revised
	path := "/v1/services/" + url.PathEscape(service) + "/backends/" + url.PathEscape(backend)
	err := c.call(ctx, http.MethodPatch, path, patch, &r)
	return r.Revision, err
}

// Timeouts returns after how long without a packet L4 flows are over.
func (c *Client) Timeouts(ctx context.Context) (t lb.Timeouts, err error) {
	return t, c.call(ctx, http.MethodGet, "/v1/timeouts", nil, &t)
}

// SetTimeouts changes those that are not zero and returns the revision that
// holds the change.
func (c *Client) SetTimeouts(ctx context.Context, t lb.Timeouts) (uint64, error) {
	var r Revised
	err := c.call(ctx, http.MethodPatch, "/v1/timeouts", t, &r)
	return r.Revision, err
}

// Flows calls f with what the l4 plane remembers, in no order, as it comes in. It
// returns f's error as it is. The daemon may fall silent for as long as for any
// answer; f may take its time.
func (c *Client) Flows(ctx context.Context, q FlowQuery, f func(lb.Flow) error) (FlowEnd, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(c.patience, func() {
		cancel(fmt.Errorf("no answer within %s: %w", c.patience, context.DeadlineExceeded))
	})
	defer silent.Stop()
	resp, err := c.do(ctx, http.MethodGet, "/v1/flows?"+q.encode(), nil, nil)
	if err != nil {
		return FlowEnd{}, err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; silent.Reset(c.patience) {
		var l flowLine
		if err := dec.Decode(&l); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return FlowEnd{}, fmt.Errorf("read flows of %s: %w", c.where, err)
		}
		silent.Stop()
		switch {
		case l.End != nil && l.End.Error != "":
			return *l.End, fmt.Errorf("read flows of %s: %s", c.where, l.End.Error)
		case l.End != nil:
			return *l.End, nil
		case l.Flow == nil:
			continue // of a daemon that says more than this client knows
		}
		if err := f(*l.Flow); err != nil {
			return FlowEnd{}, err
		}
	}
}

// Wait returns when what w asks for is so. A Problem of status 504 says what
// was missing when time ran out.
func (c *Client) Wait(ctx context.Context, w WaitRequest) (s Status, err error) {
	return s, c.callWithin(ctx, cmp.Or(w.Timeout, waitTimeout), http.MethodPost, "/v1/wait", w, &s)
}

// Failover makes another of two balancers active.
func (c *Client) Failover(ctx context.Context, r FailoverRequest) (result FailoverResult, err error) {
	return result, c.callWithin(ctx, failoverTimeout, http.MethodPost, "/v1/failover", r, &result)
}

// Shutdown ends the daemon. Forwarding goes on.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/shutdown", nil, nil)
}

// PastEvents returns the events after sequence number since that are remembered.
func (c *Client) PastEvents(ctx context.Context, since uint64) ([]Event, error) {
	ctx, cancel := c.within(ctx, 0)
	defer cancel()
	var events []Event
	err := c.events(ctx, since, false, func(e Event) error {
		events = append(events, e)
		return nil
	})
	return events, err
}

// Events calls f for each event after since, past ones first, then as they
// happen. It returns f's error, ctx's, or nil when the daemon ends.
func (c *Client) Events(ctx context.Context, since uint64, f func(Event) error) error {
	return c.events(ctx, since, true, f)
}

func (c *Client) events(ctx context.Context, since uint64, follow bool, f func(Event) error) error {
	query := url.Values{"since": {strconv.FormatUint(since, 10)}, "follow": {strconv.FormatBool(follow)}}
	resp, err := c.do(ctx, http.MethodGet, "/v1/events?"+query.Encode(), nil, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		var e Event
		switch err := dec.Decode(&e); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("read events of %s: %w", c.where, err)
		}
		if err := f(e); err != nil {
			return err
		}
	}
}

// call sends in, unless nil, and decodes the answer into out, unless nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	return c.callWithin(ctx, 0, method, path, in, out)
}

// callWithin is call for what takes a time by itself.
func (c *Client) callWithin(ctx context.Context, d time.Duration, method, path string, in, out any) error {
	ctx, cancel := c.within(ctx, d)
	defer cancel()
	resp, err := c.do(ctx, method, path, nil, in)
	if err != nil {
		return err
	}
	defer drain(resp.Body)
	if out == nil {
		return nil
	}
	return c.decode(resp, out)
}

func (c *Client) decode(resp *http.Response, out any) error {
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("decode answer of %s to %s %s: %w", c.where, resp.Request.Method, resp.Request.URL.Path, err)
	}
	return nil
}

// within bounds an exchange that takes d by itself.
func (c *Client) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	d += c.patience
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer within %s: %w", d, context.DeadlineExceeded))
}

// do returns an answer of status 2xx; every other one becomes an error.
func (c *Client) do(ctx context.Context, method, path string, header http.Header, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode request %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request %s %s: %w", method, path, err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // says what took how long
		}
		return nil, fmt.Errorf("ask daemon at %s: %w", c.where, unwrapURL(err))
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer drain(resp.Body)
	p := problem(resp.StatusCode, "%s %s: %s", method, path, resp.Status)
	if data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20)); err == nil {
		_ = json.Unmarshal(data, p) // an answer that is no problem+json leaves the status line
	}
	return nil, p
}

// unwrapURL drops net/http's `Get "http://lbctl/v1/…":`, whose host means nothing on a unix socket.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// drain reads what little may be left, so that the connection can be used again.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 1<<16)
	_ = body.Close()
}
