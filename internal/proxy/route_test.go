package proxy

import (
	"fmt"
	"strings"
	"testing"

	"lbctl/internal/lb"
)

// conf is that of a service with these backends' numbers.
func (th *theatre) conf(name string, backends ...int) lb.Service {
	v := lb.Service{Name: name, Plane: lb.L7, Policy: lb.RoundRobin, HTTP: th.service.HTTP}
	for _, b := range th.service.Backends {
		for _, n := range backends {
			if b.ID == lb.BackendID(n) {
				v.Backends = append(v.Backends, b)
			}
		}
	}
	return v
}

// sent answers one request and returns what the backend got, or else the answer.
func (th *theatre) sent(request string) (backend, answer string) {
	th.Helper()
	k := th.accept()
	k.says(request, 0)
	s := th.serving(k)
	if s == nil {
		return "", k.took()
	}
	backend = s.took()
	s.says(strings.Replace(hello, "200 OK\r\n", "200 OK\r\nX-Old: 1\r\n", 1), 0)
	return backend, k.took()
}

// serving is the backend that a client's request is at, connected; nil if there is none.
func (th *theatre) serving(k *actor) *actor {
	for _, s := range th.dialled {
		if x := k.client.x; x != nil && s.backend == x.backend {
			if x.stage == stageConnects {
				s.backend.Connected()
			}
			return s
		}
	}
	return nil
}

func line(text string) string {
	first, _, _ := strings.Cut(text, "\r\n")
	return first
}

func TestARouteTakesTheRequestsThatItMatches(t *testing.T) {
	exact := func(p string) lb.Route { return lb.Route{Path: lb.PathMatch{Kind: lb.PathExact, Value: p}} }
	prefix := func(p string) lb.Route { return lb.Route{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: p}} }
	pattern := func(p string) lb.Route { return lb.Route{Path: lb.PathMatch{Kind: lb.PathRegexp, Value: p}} }
	host := func(h ...string) lb.Route { return lb.Route{Hosts: h} }
	header := func(name, value, re string) lb.Route {
		return lb.Route{Headers: []lb.HeaderMatch{{Name: name, Value: value, Regexp: re}}}
	}
	for _, c := range []struct {
		route         lb.Route
		takes, leaves []string // "path", "METHOD path", "path host", "path host Field: value"
	}{
		{exact("/a"), []string{"/a", "/a?q", "/b/../a", "/%61", "//a", "/./a", "/x/%2e%2E/a", "http://h/a"}, []string{"/a/", "/ab", "/A", "/"}},
		{prefix("/a"), []string{"/a", "/a/", "/a/b", "/x/../a/b", "/a//b", "/%61/b", "/a?/b"}, []string{"/ab", "/", "/b/a", "/a/../b", "/a%20"}},
		{prefix("/a/"), []string{"/a", "/a/b"}, []string{"/ab"}},
		{prefix("/"), []string{"/", "/x"}, []string{"OPTIONS *"}},
		{pattern(`^/u/[0-9]+$`), []string{"/u/7", "/u//7"}, []string{"/u/x", "/x/u/7"}},
		{pattern(`admin`), []string{"/x/admin", "/%61dmin"}, []string{"/x?admin"}},
		{host("www.example.com"), []string{"/ www.example.com", "/ WWW.Example.com:8080", "/ www.example.com.", "http://www.example.com/ x"}, []string{"/ example.com", "/ a.www.example.com"}},
		{host("*.example.com"), []string{"/ a.example.com", "/ a.b.EXAMPLE.com:1"}, []string{"/ example.com", "/ xexample.com", "/ .example.com"}},
		{host("a", "[::1]"), []string{"/ a", "/ [::1]", "/ [::1]:80"}, []string{"/ b", "/ [::2]"}},
		{lb.Route{Methods: []string{"GET", "PURGE"}}, []string{"/", "PURGE /"}, []string{"HEAD /", "get /"}},
		{header("X-Beta", "", ""), []string{"/ h x-beta: 1", "/ h X-BETA:"}, []string{"/", "/ h X-Bet: 1"}},
		{header("X-Beta", "yes", ""), []string{"/ h X-Beta: yes", "/ h X-Beta: no\r\nX-Beta: yes"}, []string{"/ h X-Beta: Yes", "/ h X-Beta: yes1"}},
		{header("User-Agent", "", "^curl/"), []string{"/ h User-Agent: curl/8"}, []string{"/ h User-Agent: x curl/8", "/"}},
		{lb.Route{Hosts: []string{"a"}, Path: exact("/x").Path, Methods: []string{"GET"}}, []string{"/x a"}, []string{"/x b", "/y a", "POST /x a"}},
	} {
		c.route.Respond.Status = 299
		th := newTheatre(t, 1, func(v *lb.Service) { v.Routes = []lb.Route{c.route} })
		for i, typed := range append(c.takes, c.leaves...) {
			_, answer := th.sent(request(typed))
			if took := status(answer) == "299"; took != (i < len(c.takes)) || !took && status(answer) != "200" {
				t.Errorf("%+v, %q: status %s", c.route, typed, status(answer))
			}
		}
		th.idle()
	}
}

// request spells out what a table says of one.
func request(typed string) string {
	if typed[0] == '/' || strings.HasPrefix(typed, "http") {
		typed = "GET " + typed
	}
	words := strings.SplitN(typed, " ", 4)
	host, field := "h", ""
	if len(words) > 2 {
		host = words[2]
	}
	if len(words) > 3 {
		field = words[3] + "\r\n"
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", words[0], words[1], host, field)
}

func TestPathsThatCanBeReadInSeveralWaysAreRefusedWhereThereAreRoutes(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) { v.Routes = []lb.Route{{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: "/admin"}}} })
	for _, path := range []string{"/..", "/../a", "/a/../../b", "/%2e%2e/a", "/a%2fb", "/a%5Cb", `/a\b`, "/a/..;x/b", "/.;/a", "/%00"} {
		if _, answer := th.sent(request(path)); status(answer) != "400" {
			t.Errorf("%s: %q", path, line(answer))
		}
	}
	for path, want := range map[string]string{
		"/a//b/./c/../d?x=../y": "/a/b/d?x=../y", "/a/..": "/", "/a/b/..": "/a/", "/a/.": "/a/", "/%7Ea%2d%20": "/~a-%20", "/a.b/...": "/a.b/...", "/;x": "/;x", "/x/": "/x/",
	} {
		if got, _ := th.sent(request(path)); line(got) != "GET "+want+" HTTP/1.1" {
			t.Errorf("%s: the backend got %q, want %s", path, line(got), want)
		}
	}
	th = newTheatre(t, 1)
	if got, _ := th.sent(request("/a%2fb//../c")); line(got) != "GET /a%2fb//../c HTTP/1.1" {
		t.Errorf("without routes: the backend got %q", line(got))
	}
}

func TestTheFirstRouteThatMatchesWins(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) {
		for i, p := range []string{"/a/b", "/a", "/a/b/c", "/"} {
			v.Routes = append(v.Routes, lb.Route{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: p}, Respond: lb.Respond{Status: 280 + i}})
		}
	})
	for path, want := range map[string]string{"/a/b/c": "280", "/a/c": "281", "/b": "283"} {
		if _, answer := th.sent(request(path)); status(answer) != want {
			t.Errorf("%s: status %s, want %s", path, status(answer), want)
		}
	}
}

func TestARoutedRequestGoesByTheOtherService(t *testing.T) {
	th := newTheatre(t, 3)
	other, front := th.conf("api", 3), th.conf("web", 1, 2)
	other.HTTP.Retries, other.HTTP.BackendHeadTimeout = 0, 77
	other.Routes = []lb.Route{{Respond: lb.Respond{Status: 299}}} // not looked at
	front.Routes = []lb.Route{{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: "/api"}, Service: "api"}}
	th.serve(front, other)
	k := th.accept()
	k.says(request("/api/x"), 0)
	s := th.connected()
	if s.addr.Addr().As4()[3] != 3 || s.deadline != 77 {
		t.Errorf("backend %s with a deadline of %s", s.addr, s.deadline)
	}
	th.serve(front, other) // a reload in between: accounts stay
	s.says(hello, 0)
	if out := k.took(); status(out) != "200" {
		t.Errorf("%q", out)
	}
	if web, api := th.countOf("web"), th.countOf("api"); web.Requests != 0 || api.Requests != 1 || web.Connections != 1 {
		t.Errorf("web %+v, api %+v", web, api)
	}
	k.says(request("/api/y"), 0) // without retries
	s.backend.EOF()
	th.dialled[1].backend.Closed(errReset)
	if out := k.took(); status(out) != "502" || len(th.dialled) != 2 {
		t.Errorf("%q, %d connections", out, len(th.dialled))
	}
	if api := th.countOf("api"); api.Errors != 1 {
		t.Errorf("api %+v", api)
	}
	th.idle()
	front.Routes[0].Service = "nobody"
	if s, err := NewService(front, nil, NoAccounts); err != nil || Link([]*Service{s}) == nil {
		t.Error("a route to no service is linked", err)
	}
}

func TestARoutedRequestAllocatesNothing(t *testing.T) {
	th := newTheatre(t, 1)
	api, front := th.conf("api", 1), th.conf("web", 1)
	for i := range 20 {
		front.Routes = append(front.Routes, lb.Route{
			Hosts: []string{"*.example.com", "a-rather-long-name-of-a-host.example.org"}, Methods: []string{"PUT", "GET"},
			Path: lb.PathMatch{Kind: lb.PathPrefix, Value: fmt.Sprint("/api/", i)}, Service: "api", Rewrite: lb.Rewrite{Prefix: "/"},
			Headers: []lb.HeaderMatch{{Name: "X-A", Value: "b"}}, Response: lb.HeaderEdits{Remove: []string{"X-Old"}, Set: []lb.Header{{Name: "X-New", Value: "1"}}},
		})
	}
	api.HTTP.Forwarding = lb.Forwarding{RequestID: true, BackendHost: true, Forwarded: lb.FieldAppend}
	th.serve(front, api)
	k := th.accept()
	ask := []byte("GET /x/../api/19/%61?q HTTP/1.1\r\nHost: www.example.com\r\nX-A: b\r\n\r\n")
	answer := []byte(hello)
	k.client.Data(ask)
	s := th.connected()
	s.backend.Data(answer)
	if !strings.HasPrefix(string(s.out), "GET /a?q ") {
		t.Fatalf("the backend got %q", s.out)
	}
	n := testing.AllocsPerRun(100, func() {
		k.out, s.out = k.out[:0], s.out[:0]
		k.client.Data(ask)
		s.backend.Data(answer)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
