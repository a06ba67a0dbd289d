package proxy

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// route is an lb.Route made ready. It is immutable once it is linked.
type route struct {
	number  int // among its service's, from 1 on
	hosts   []hostMatch
	kind    lb.PathKind
	path    []byte // of a prefix without the slash at its end
	pattern *regexp.Regexp
	methods [][]byte
	headers []headerMatch

	target   *Service // whose backends requests go to
	service  string   // its name, empty: the route's own service
	redirect template // empty: none
	status   int      // of the answer, 0: a backend answers
	body     string
	kindOf   string // the body's type
	rewrite  rewrite
	request  *edits // nil: none
	response *edits
}

// headerMatch is a condition for a field; without value and pattern it must be there.
type headerMatch struct {
	name, value []byte
	pattern     *regexp.Regexp
}

// newRoute compiles a route.
func newRoute(conf lb.Route) (r route, err error) {
	if err := conf.Check(); err != nil {
		return r, err
	}
	r = route{kind: conf.Path.Kind, path: []byte(conf.Path.Value), service: conf.Service, status: conf.Redirect.Status}
	switch conf.Path.Kind {
	case lb.PathPrefix:
		r.path = bytes.TrimSuffix(r.path, []byte("/"))
	case lb.PathRegexp:
		if r.pattern, err = regexp.Compile(conf.Path.Value); err != nil {
			return r, fmt.Errorf("path: %w", err)
		}
	}
	for _, h := range conf.Hosts {
		r.hosts = append(r.hosts, newHostMatch(h))
	}
	for _, m := range conf.Methods {
		r.methods = append(r.methods, []byte(m))
	}
	for _, h := range conf.Headers {
		m := headerMatch{name: []byte(h.Name), value: []byte(h.Value)}
		if h.Regexp != "" {
			if m.pattern, err = regexp.Compile(h.Regexp); err != nil {
				return r, fmt.Errorf("header %s: %w", h.Name, err)
			}
		}
		r.headers = append(r.headers, m)
	}
	if conf.Respond.Status != 0 {
		r.status, r.body = conf.Respond.Status, conf.Respond.Body
		r.kindOf = cmp.Or(conf.Respond.ContentType, "text/plain; charset=utf-8")
	}
	r.redirect = newTemplate(conf.Redirect.To)
	r.request, r.response = newEdits(conf.Request), newEdits(conf.Response)
	r.rewrite, err = newRewrite(conf.Rewrite, r.path)
	return r, err
}

// matches says whether a request is the route's. host is bare.
func (m *route) matches(r *http1.Request, host []byte) bool {
	return m.matchesPath(r.Path) &&
		(m.hosts == nil || slices.ContainsFunc(m.hosts, func(h hostMatch) bool { return h.matches(host) })) &&
		(m.methods == nil || slices.ContainsFunc(m.methods, func(name []byte) bool { return bytes.Equal(name, r.MethodName) })) &&
		!slices.ContainsFunc(m.headers, func(h headerMatch) bool { return !h.matches(r) })
}

func (m *route) matchesPath(path []byte) bool {
	switch m.kind {
	case lb.PathExact:
		return bytes.Equal(path, m.path)
	case lb.PathPrefix:
		return bytes.HasPrefix(path, m.path) && (len(path) == len(m.path) || path[len(m.path)] == '/')
	case lb.PathRegexp:
		return m.pattern.Match(path)
	}
	return true
}

// matches says whether any field of that name fulfils the condition.
func (m *headerMatch) matches(r *http1.Request) bool {
	for i := range r.Fields {
		f := &r.Fields[i]
		if len(f.Name) != len(m.name) || !bytes.EqualFold(f.Name, m.name) {
			continue
		}
		switch {
		case m.pattern != nil && !m.pattern.Match(f.Value):
		case len(m.value) > 0 && !bytes.Equal(f.Value, m.value):
		default:
			return true
		}
	}
	return false
}

// route finds what a request goes by, and brings its path into the form that
// routes see. It returns nil if no route matches; ok is false if the path has no
// such form. buf takes a path that is to be another.
func (s *Service) route(r *http1.Request, buf []byte) (m *route, out []byte, ok bool) {
	if s.routes == nil || r.Method == http1.CONNECT {
		return nil, buf, true
	}
	if r.Path[0] == '/' && !plain(r.Path) {
		if buf, ok = appendNormal(buf[:0], r.Path); !ok {
			return nil, buf, false
		}
		r.Path = buf
	}
	host := bareHost(r.Host)
	for i := range s.routes {
		if s.routes[i].matches(r, host) {
			return &s.routes[i], buf, true
		}
	}
	return nil, buf, true
}
