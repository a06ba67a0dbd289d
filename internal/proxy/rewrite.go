package proxy

import (
	"fmt"
	"regexp"
	"strings"

	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// rewrite changes a path. The zero value changes none.
type rewrite struct {
	prefix  bool   // a prefix of cut bytes is replaced
	cut     int    //
	to      []byte // of a prefix without the slash at its end
	pattern *regexp.Regexp
	whole   bool
}

// newRewrite compiles a rewrite. matched is the prefix that the route matches.
func newRewrite(conf lb.Rewrite, matched []byte) (w rewrite, err error) {
	switch {
	case conf.Prefix != "":
		w = rewrite{prefix: true, cut: len(matched), to: []byte(strings.TrimSuffix(conf.Prefix, "/"))}
	case conf.Path != "":
		w = rewrite{whole: true, to: []byte(conf.Path)}
	case conf.Regexp != "":
		w = rewrite{to: []byte(conf.To)}
		if w.pattern, err = regexp.Compile(conf.Regexp); err != nil {
			return w, fmt.Errorf("rewrite: %w", err)
		}
	}
	return w, nil
}

// apply changes the path of a request. It reports whether that has become one.
func (w *rewrite) apply(r *http1.Request, c *Core) (ok bool) {
	dst := c.rewritten[:0]
	switch {
	case r.Path[0] != '/': // OPTIONS *
		return true
	case w.prefix:
		dst = append(append(dst, w.to...), r.Path[w.cut:]...)
	case w.whole:
		dst = append(dst, w.to...)
	case w.pattern != nil:
		if ok, dst = w.expand(dst, r.Path); !ok {
			return true
		}
	default:
		return true
	}
	if len(dst) == 0 || dst[0] != '/' { // a prefix that was replaced by /, a match that was cut off
		dst = append(dst, 0)
		copy(dst[1:], dst)
		dst[0] = '/'
	}
	c.rewritten, r.Path = dst, dst
	// Groups can be put together to what their path was free of.
	if w.pattern != nil && !plain(r.Path) {
		c.path, ok = appendNormal(c.path[:0], r.Path)
		r.Path = c.path
		return ok
	}
	return true
}

// expand replaces the first match.
func (w *rewrite) expand(dst, path []byte) (matched bool, out []byte) {
	at := w.pattern.FindSubmatchIndex(path)
	if at == nil {
		return false, dst
	}
	dst = append(dst, path[:at[0]]...)
	dst = w.pattern.Expand(dst, w.to, path, at)
	return true, append(dst, path[at[1]:]...)
}
