package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"lbctl/internal/lb"
)

// FlowQuery says which flows to list.
type FlowQuery struct {
	Service string // empty: of all
	Node    string // of which of two balancers; empty: the active one's
	Limit   uint64 // how many at most; 0: all
}

// FlowEnd is the last line of the answer, behind a line for each lb.Flow. An
// answer without it has broken off.
type FlowEnd struct {
	Listed uint64 `json:"listed"`
	More   bool   `json:"more,omitempty"` // there are others than the limit let through
	Error  string `json:"error,omitempty"`
}

// flowLine is a line of the answer: one of both.
type flowLine struct {
	Flow *lb.Flow `json:"flow,omitempty"`
	End  *FlowEnd `json:"end,omitempty"`
}

const (
	flowBatch = 512 // lines that are written at a time
	// A person may read a page at a time of what is listed. A listing holds
	// some 600 KB, however many flows there are.
	flowWriteTimeout = 10 * time.Minute
)

// flowLister is a plane that remembers flows.
type flowLister interface {
	Flows() iter.Seq2[lb.Flow, error]
}

// Flows yields what the l4 plane remembers, in no order, without the memory of
// it all. A plane that is not open remembers nothing that can be told.
func (c *Controller) Flows(q FlowQuery) (iter.Seq2[lb.Flow, error], error) {
	plane, err := c.flowPlane(q.Node)
	if err != nil {
		return nil, err
	}
	if _, ok := c.latest.Load().service(q.Service); q.Service != "" && !ok {
		return nil, notFound("service", q.Service, "", c.latest.Load().serviceNames())
	}
	return func(yield func(lb.Flow, error) bool) {
		if plane == nil {
			return
		}
		for f, err := range plane.Flows() {
			if err == nil && q.Service != "" && f.Service != q.Service {
				continue
			}
			if !yield(f, err) {
				return
			}
		}
	}, nil
}

// flowPlane is the open l4 plane of the balancer, or nil.
func (c *Controller) flowPlane(node string) (flowLister, error) {
	var nodes []string
	for _, a := range c.appliers {
		if a.plane.Name == lb.L4 && a.plane.Node != "" {
			nodes = append(nodes, a.plane.Node)
		}
	}
	switch {
	case node != "" && !slices.Contains(nodes, node):
		return nil, notFound("balancer", node, "", nodes)
	case node == "" && c.options.pair != nil:
		node = c.options.pair.current().name
	}
	for _, a := range c.appliers {
		if a.plane.Name != lb.L4 || a.plane.Node != node {
			continue
		}
		a.mu.Lock()
		open := a.open
		a.mu.Unlock()
		plane, _ := open.(flowLister)
		return plane, nil
	}
	return nil, nil
}

func (a *api) flows(w http.ResponseWriter, r *http.Request) error {
	q, err := parseFlowQuery(r.URL.Query())
	if err != nil {
		return err
	}
	flows, err := a.controller.Flows(q)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	s := flowStream{w: http.NewResponseController(w), lines: json.NewEncoder(w), ctx: r.Context()}
	end := s.list(flows, q.Limit)
	_ = s.line(flowLine{End: &end})
	if s.flush() == nil {
		_ = s.w.SetWriteDeadline(time.Time{}) // the connection may serve other requests yet
	}
	return nil // the answer has begun; an error now can only end it
}

func parseFlowQuery(query url.Values) (q FlowQuery, err error) {
	q.Service, q.Node = query.Get("service"), query.Get("node")
	if text := query.Get("limit"); text != "" {
		if q.Limit, err = strconv.ParseUint(text, 10, 64); err != nil {
			return q, problem(http.StatusBadRequest, "limit=%s: want a number of flows", text)
		}
	}
	return q, nil
}

func (q FlowQuery) encode() string {
	query := url.Values{}
	if q.Service != "" {
		query.Set("service", q.Service)
	}
	if q.Node != "" {
		query.Set("node", q.Node)
	}
	if q.Limit != 0 {
		query.Set("limit", strconv.FormatUint(q.Limit, 10))
	}
	return query.Encode()
}

// flowStream writes lines, a batch at a time.
type flowStream struct {
	ctx   context.Context
	w     *http.ResponseController
	lines *json.Encoder
	count int
}

// list writes up to limit flows, unless that is 0.
func (s *flowStream) list(flows iter.Seq2[lb.Flow, error], limit uint64) (end FlowEnd) {
	for f, err := range flows {
		switch {
		case err != nil:
			end.Error = err.Error()
			return end
		case limit != 0 && end.Listed == limit:
			end.More = true
			return end
		}
		if err := s.line(flowLine{Flow: &f}); err != nil {
			end.Error = fmt.Sprintf("write flows: %s", err)
			return end
		}
		end.Listed++
	}
	return end
}

func (s *flowStream) line(l flowLine) error {
	if s.count%flowBatch == 0 {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.count++
	return s.lines.Encode(l)
}

func (s *flowStream) flush() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	_ = s.w.SetWriteDeadline(time.Now().Add(flowWriteTimeout))
	return s.w.Flush()
}
