package scenario

import (
	"strings"

	"lbctl/internal/lb"
)

// httpRoutes resolves the routes of the l7 services, all of which are known.
func (r *resolver) httpRoutes() {
	led := map[string]bool{}
	for _, s := range r.svcs {
		for _, typed := range s.spec.HTTP.Routes.Items {
			if s.Plane != lb.L7 {
				break
			}
			before := len(r.errs)
			route := r.httpRoute(typed)
			if err := route.Check(); err != nil && len(r.errs) == before {
				r.fail(typed.Pos, "", "routes: %v", err)
			}
			if other, ok := r.svcNamed[route.Service]; ok && other != s {
				led[route.Service] = true
			}
			s.Routes = append(s.Routes, route)
		}
	}
	for _, s := range r.svcs {
		if isNone(s.spec.VIP) && s.Plane == lb.L7 && !led[s.Name] {
			r.fail(s.spec.VIP.Pos, "", "vip: service %s has none, and no route of another service leads to it", s.Name)
		}
	}
}

func (r *resolver) httpRoute(typed HTTPRouteSpec) lb.Route {
	out := lb.Route{
		Path: r.pathMatch(typed), Service: r.routedTo(typed),
		Request: r.edits(typed.Request), Response: r.edits(typed.Response),
	}
	for _, h := range typed.Hosts.Items {
		out.Hosts = append(out.Hosts, strings.ToLower(string(h.Value)))
	}
	for _, m := range typed.Methods.Items {
		out.Methods = append(out.Methods, string(m.Value))
	}
	for _, h := range typed.Headers.Items {
		if h.Value.IsSet() && h.Regexp.IsSet() {
			r.fail(h.Regexp.Pos, "", "headers: %s has a value already", h.Name.Value)
		}
		out.Headers = append(out.Headers, lb.HeaderMatch{Name: string(h.Name.Value), Value: string(h.Value.Value.Text), Regexp: string(h.Regexp.Value)})
	}
	if typed.Redirect.Pos.IsSet() {
		to := filled(typed.Redirect)
		out.Redirect = lb.Redirect{To: string(to.To.Value), Status: int(to.Status.Value)}
	}
	if typed.Respond.Pos.IsSet() {
		as := filled(typed.Respond)
		out.Respond = lb.Respond{Status: int(as.Status.Value), Body: string(as.Body.Value.Text), ContentType: string(as.ContentType.Value.Text)}
	}
	w := typed.Rewrite
	out.Rewrite = lb.Rewrite{Prefix: string(w.Prefix.Value), Path: string(w.Path.Value), Regexp: string(w.Regexp.Value), To: string(w.To.Value.Text)}
	if w.Pos.IsSet() && out.Rewrite == (lb.Rewrite{}) {
		r.fail(w.Pos, "", "rewrite: want prefix, path, or regexp and to")
	}
	return out
}

// pathMatch takes the one condition for the path that is typed.
func (r *resolver) pathMatch(typed HTTPRouteSpec) (m lb.PathMatch) {
	for _, c := range []struct {
		at   Pos
		kind lb.PathKind
		text string
	}{
		{typed.Path.Pos, lb.PathExact, string(typed.Path.Value)},
		{typed.Prefix.Pos, lb.PathPrefix, string(typed.Prefix.Value)},
		{typed.Regexp.Pos, lb.PathRegexp, string(typed.Regexp.Value)},
	} {
		switch {
		case !c.at.IsSet():
		case m.Kind != "":
			r.fail(c.at, "", "routes: path, prefix and regexp exclude each other")
		default:
			m = lb.PathMatch{Kind: c.kind, Value: c.text}
		}
	}
	return m
}

// routedTo is the service that a route leads to, empty: its own.
func (r *resolver) routedTo(typed HTTPRouteSpec) string {
	if !typed.Service.IsSet() {
		return ""
	}
	if s, ok := find(r, "service", typed.Service, r.svcNamed); ok && s.Plane != lb.L7 {
		r.fail(typed.Service.Pos, "", "service: %s is an l4 service, which takes packets from clients, not requests from a proxy", s.Name)
	}
	return string(typed.Service.Value)
}

func (r *resolver) edits(typed EditsSpec) (e lb.HeaderEdits) {
	check := func(name Val[HeaderName]) string {
		if err := lb.CheckEditable(string(name.Value)); err != nil {
			r.fail(name.Pos, "", "%v", err)
		}
		return string(name.Value)
	}
	for _, h := range typed.Set.Entries {
		e.Set = append(e.Set, lb.Header{Name: check(h.Key), Value: string(h.Value.Value.Text)})
	}
	for _, h := range typed.Add.Entries {
		e.Add = append(e.Add, lb.Header{Name: check(h.Key), Value: string(h.Value.Value.Text)})
	}
	for _, name := range typed.Remove.Items {
		e.Remove = append(e.Remove, check(name))
	}
	return e
}

// refuseHTTP notes what of http contradicts itself, or the service.
func (r *resolver) refuseHTTP(s *service) {
	h := s.spec.HTTP
	by := h.Hash.By
	named := by.Value == "header" || by.Value == "cookie"
	switch {
	case s.Policy == lb.KeyHash && !h.Hash.Pos.IsSet():
		r.fail(s.spec.Policy.Pos, "", "policy: hash needs http.hash, which says what of a request is hashed")
	case s.Policy != lb.KeyHash && h.Hash.Pos.IsSet():
		r.fail(h.Hash.Pos, "", "hash is for policy hash: %s does not look at requests", s.Policy)
	case h.Hash.Pos.IsSet() && named && !h.Hash.Name.IsSet():
		r.fail(by.Pos, "", "hash: want the name of the %s", by.Value)
	case h.Hash.Name.IsSet() && by.Value == "path":
		r.fail(h.Hash.Name.Pos, "", "name: the path has none")
	}
	if b := h.Hash.Bound; b.IsSet() && b.Value > 0 && b.Value < 100 {
		r.fail(b.Pos, "", "bound: want 0, or 100 or more: with less not all requests would find a backend")
	}
	if c := h.Sticky; c.SameSite.Value == "none" && !bool(c.Secure.Value) {
		r.fail(c.SameSite.Pos, "", "same_site: browsers take none only with secure: true")
	}
	if l := filled(h.Limits); l.Line.Value > l.Head.Value {
		at := l.Line.Pos
		if !at.IsSet() {
			at = l.Head.Pos
		}
		r.fail(at, "", "limits: line, %d, is more than head, %d", l.Line.Value, l.Head.Value)
	}
}
