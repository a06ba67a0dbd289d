package scenario

import (
	"time"

	"lbctl/internal/lb"
)

// defaultCheck judges the backends of a service that names no check; noCheck
// is the word for a service whose backends nobody judges.
const (
	defaultCheck = "default"
	noCheck      = "none"
)

// checks resolves the checks of the scenario and the default one.
func (r *resolver) checks() {
	r.known = map[string]lb.Check{defaultCheck: r.check(defaultCheck, CheckSpec{})}
	for _, e := range r.spec.Checks.Entries {
		name := string(e.Key.Value)
		if name == noCheck {
			r.fail(e.Key.Pos, "", "a check cannot be named none: that word turns checking off")
		}
		r.known[name] = r.check(name, e.Value)
	}
}

// check resolves one check.
func (r *resolver) check(name string, typed CheckSpec) lb.Check {
	spec := filled(typed)
	c := lb.Check{
		Name:         name,
		Kind:         lb.CheckKind(spec.Kind.Value),
		Port:         uint16(spec.Port.Value),
		Interval:     time.Duration(spec.Interval.Value),
		FastInterval: time.Duration(spec.FastInterval.Value),
		Timeout:      time.Duration(spec.Timeout.Value),
		Rise:         int(spec.Rise.Value),
		Fall:         int(spec.Fall.Value),
	}
	if !spec.FastInterval.IsSet() {
		c.FastInterval = c.Interval / 4
	}
	if !spec.Timeout.IsSet() {
		c.Timeout = c.Interval / 2
	}
	if c.FastInterval > c.Interval {
		r.fail(spec.FastInterval.Pos, "", "fast_interval: %s is longer than the interval of %s", span(c.FastInterval), span(c.Interval))
	}
	if c.Timeout > c.Interval {
		r.fail(spec.Timeout.Pos, "", "timeout: %s is longer than the interval of %s, so probes would overlap", span(c.Timeout), span(c.Interval))
	}
	if c.Kind == lb.CheckTCP {
		r.onlyHTTP(typed)
		return c
	}
	c.HTTP = lb.HTTPProbe{
		Method:    string(spec.Method.Value),
		Path:      string(spec.Path.Value),
		Host:      string(spec.Host.Value),
		StatusMin: spec.Status.Value.Min,
		StatusMax: spec.Status.Value.Max,
		Body:      string(spec.Body.Value),
	}
	if c.HTTP.Method == "HEAD" && spec.Body.IsSet() {
		r.fail(spec.Body.Pos, "", "body: the answer to HEAD has none to match")
	}
	for _, h := range spec.Header.Entries {
		if c.HTTP.Header == nil {
			c.HTTP.Header = map[string]string{}
		}
		c.HTTP.Header[string(h.Key.Value)] = string(h.Value.Value)
	}
	return c
}

// onlyHTTP refuses what a TCP check has no use for.
func (r *resolver) onlyHTTP(c CheckSpec) {
	for _, f := range []struct {
		key string
		at  Pos
	}{
		{"method", c.Method.Pos},
		{"path", c.Path.Pos},
		{"host", c.Host.Pos},
		{"status", c.Status.Pos},
		{"header", c.Header.Pos},
		{"body", c.Body.Pos},
	} {
		if f.at.IsSet() {
			r.fail(f.at, "", "%s: a tcp check sends no request: want kind: http for it", f.key)
		}
	}
}
