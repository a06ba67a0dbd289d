package lb

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

var (
	hostForm   = lazily(`^(\*\.)?([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}$|^\[[0-9A-Fa-f:.]+\]$`)
	pathForm   = lazily(`^/[!"$-~]{0,999}$`)
	tokenForm  = lazily("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")
	valueForm  = lazily(`^[!-~\x80-\xff]([\t -~\x80-\xff]*[!-~\x80-\xff])?$`)
	placeForm  = lazily(`\{(host|path|query)\}`)
	targetForm = lazily(`^(https?://[^/{}?#]|https?://\{host\}|\{path\}|/[^/{]|/$)`)
	textForm   = lazily(`^[!-~]*$`)
)

// lazily compiles an expression when it is first needed: every process has them, and few check anything,
// while to compile these takes 3 ms and 0.8 MB.
func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// fixed are fields that speak of framing, the connection or the way, which a proxy makes itself.
var fixed = []string{
	"connection", "content-length", "date", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

// Check says what is wrong with a route taken by itself, nil if nothing is.
// Regular expressions are not compiled.
func (r Route) Check() error {
	for _, h := range r.Hosts {
		if !hostForm().MatchString(h) {
			return fmt.Errorf("host %q: want a name, or *. and a name, without port", h)
		}
	}
	for _, m := range r.Methods {
		if !tokenForm().MatchString(m) {
			return fmt.Errorf("method %q is no token", m)
		}
	}
	for _, h := range r.Headers {
		if !tokenForm().MatchString(h.Name) || h.Value != "" && h.Regexp != "" {
			return fmt.Errorf("header %q: want a name, and either a value or a regexp", h.Name)
		}
	}
	actions := 0
	for _, is := range []bool{r.Service != "", r.Redirect != Redirect{}, r.Respond != Respond{}} {
		if is {
			actions++
		}
	}
	if actions > 1 {
		return errors.New("service, redirect and respond exclude each other")
	}
	return errors.Join(r.Path.check(), r.Redirect.check(), r.Respond.check(), r.checkRewrite(), r.Request.Check(), r.Response.Check())
}

func (p PathMatch) check() error {
	switch p.Kind {
	case "", PathRegexp:
		return nil
	case PathExact, PathPrefix:
		if !pathForm().MatchString(p.Value) || strings.Contains(p.Value, "?") {
			return fmt.Errorf("path %q: want one that begins with /, without query", p.Value)
		}
		return nil
	}
	return fmt.Errorf("path: kind %q: want exact, prefix or regexp", p.Kind)
}

func (r Redirect) check() error {
	switch {
	case r == Redirect{}:
		return nil
	case !slices.Contains([]int{301, 302, 303, 307, 308}, r.Status):
		return fmt.Errorf("redirect: status %d: want 301, 302, 303, 307 or 308", r.Status)
	case strings.ContainsAny(placeForm().ReplaceAllString(r.To, ""), "{}") || !textForm().MatchString(r.To):
		return fmt.Errorf("redirect to %q: want visible ASCII, and no places but {host}, {path} and {query}", r.To)
	case !targetForm().MatchString(r.To): // not //, which is another host, nor /{path}, which is //
		return fmt.Errorf("redirect to %q: want http://, https://, / or {path} at its begin", r.To)
	}
	return nil
}

func (r Respond) check() error {
	switch {
	case r == Respond{}:
	case r.Status < 200 || r.Status > 599:
		return fmt.Errorf("respond: status %d: want 200 to 599", r.Status)
	case r.Body != "" && (r.Status == 204 || r.Status == 304):
		return fmt.Errorf("respond: an answer of status %d has no body", r.Status)
	case r.ContentType != "" && !valueForm().MatchString(r.ContentType):
		return fmt.Errorf("respond: content type %q is no field value", r.ContentType)
	}
	return nil
}

func (r Route) checkRewrite() error {
	w := r.Rewrite
	kinds := 0
	for _, text := range []string{w.Prefix, w.Path, w.Regexp} {
		if text != "" {
			kinds++
		}
	}
	switch {
	case w == Rewrite{}:
	case kinds != 1 || w.To != "" && w.Regexp == "":
		return errors.New("rewrite: want one of prefix, path, and regexp with to")
	case w.Prefix != "" && r.Path.Kind != PathPrefix:
		return errors.New("rewrite: prefix replaces the one that the route matches, and it matches none")
	case w.Regexp == "" && !pathForm().MatchString(w.Prefix+w.Path):
		return fmt.Errorf("rewrite to %q: want a path that begins with /", w.Prefix+w.Path)
	case !textForm().MatchString(w.To) || strings.ContainsAny(w.Prefix+w.Path+w.To, "?#%\\"):
		return fmt.Errorf("rewrite to %q: want visible ASCII without ?, #, %% and \\", w.Prefix+w.Path+w.To)
	}
	return nil
}

// Check says what is wrong with edits, nil if nothing is.
func (e HeaderEdits) Check() error {
	for _, h := range slices.Concat(e.Set, e.Add) {
		if err := CheckEditable(h.Name); err != nil {
			return err
		}
		if h.Value != "" && !valueForm().MatchString(h.Value) {
			return fmt.Errorf("header %s: %q is no field value", h.Name, h.Value)
		}
	}
	for _, name := range e.Remove {
		if err := CheckEditable(name); err != nil {
			return err
		}
	}
	return nil
}

// CheckEditable says why a field cannot be edited, nil if it can.
func CheckEditable(name string) error {
	switch {
	case !tokenForm().MatchString(name):
		return fmt.Errorf("header %q is no token", name)
	case slices.Contains(fixed, strings.ToLower(name)):
		return fmt.Errorf("header %s speaks of framing, the connection or the way: the proxy makes it", name)
	}
	return nil
}
