package proxy

import (
	"strings"
	"testing"

	"lbctl/internal/lb"
)

func TestRedirectsSayWhereTo(t *testing.T) {
	prefix := lb.PathMatch{Kind: lb.PathPrefix, Value: "/old"}
	for _, c := range []struct {
		to      string
		rewrite lb.Rewrite
		request string
		want    string
	}{
		{"https://{host}{path}{query}", lb.Rewrite{}, "/old/a?b=c www.example.com:8080", "https://www.example.com/old/a?b=c"},
		{"https://{host}{path}{query}", lb.Rewrite{}, "/old [::1]:80", "https://[::1]/old"},
		{"https://{host}:8443/x", lb.Rewrite{}, "/old?y h", "https://h:8443/x"},
		{"{path}", lb.Rewrite{Prefix: "/new"}, "/old/a?b", "/new/a"},
		{"/x{path}?old=1", lb.Rewrite{Regexp: "^/old/(.*)", To: "/$1"}, "/old/a", "/x/a?old=1"},
		{"{path}{query}", lb.Rewrite{Prefix: "/"}, "/old//evil.example/?", "/evil.example/?"},
		{"http://other.example{path}", lb.Rewrite{}, "http://h/old?x y", "http://other.example/old"},
	} {
		th := newTheatre(t, 1, func(v *lb.Service) {
			v.Routes = []lb.Route{{Path: prefix, Redirect: lb.Redirect{Status: 308, To: c.to}, Rewrite: c.rewrite}}
		})
		_, answer := th.sent(request(c.request))
		if line(answer) != "HTTP/1.1 308 Permanent Redirect" || !strings.Contains(answer, "\r\nLocation: "+c.want+"\r\n") || !strings.Contains(answer, "\r\nContent-Length: 0\r\n") {
			t.Errorf("%s of %s: %q, want %s", c.to, c.request, answer, c.want)
		}
		if got := th.count(); got.Errors != 0 || got.Requests != 1 {
			t.Errorf("%+v", got)
		}
		th.idle()
	}
	th := newTheatre(t, 1, func(v *lb.Service) {
		v.Routes = []lb.Route{{Redirect: lb.Redirect{Status: 302, To: "http://{host}{path}"}}}
	})
	if _, answer := th.sent("GET /a HTTP/1.0\r\n\r\n"); !strings.Contains(answer, "Location: http://192.0.2.1/a\r\n") {
		t.Errorf("HTTP/1.0: %q", answer)
	}
}

func TestARouteCanAnswerItself(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) {
		v.Routes = []lb.Route{
			{Methods: []string{"DELETE"}, Respond: lb.Respond{Status: 204}},
			{Respond: lb.Respond{Status: 503, Body: "later", ContentType: "text/x"}, Response: lb.HeaderEdits{Add: []lb.Header{{Name: "Retry-After", Value: "9"}}}},
		}
	})
	k := th.accept()
	k.says(request("/")+request("HEAD /")+request("DELETE /"), 0)
	for range 3 {
		out := string(k.out)
		if strings.Contains(out, "Connection: close") {
			t.Errorf("%q", out)
		}
	}
	out := k.took()
	if strings.Count(out, "HTTP/1.1 503 ") != 2 || strings.Count(out, "later") != 1 || strings.Count(out, "Retry-After: 9\r\n") != 2 ||
		strings.Count(out, "Content-Length: 5\r\n") != 2 || strings.Count(out, "Content-Type: text/x") != 2 || !strings.Contains(out, "HTTP/1.1 204 ") || strings.Contains(out, "Content-Length: 0") {
		t.Errorf("%q", out)
	}
	k.says("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab", 0) // of which the rest is nobody's
	if out := k.took(); !strings.Contains(out, "Connection: close\r\n") || !k.shut {
		t.Errorf("%q", out)
	}
	th.idle()
}

func TestPathsAreRewritten(t *testing.T) {
	prefix := lb.PathMatch{Kind: lb.PathPrefix, Value: "/api/"}
	for _, c := range []struct {
		rewrite    lb.Rewrite
		path, want string
	}{
		{lb.Rewrite{Prefix: "/"}, "/api/v1?x", "/v1?x"},
		{lb.Rewrite{Prefix: "/"}, "/api", "/"},
		{lb.Rewrite{Prefix: "/v2"}, "/api", "/v2"},
		{lb.Rewrite{Prefix: "/v2/"}, "/api/a/", "/v2/a/"},
		{lb.Rewrite{Path: "/index.html"}, "/api/a?x", "/index.html?x"},
		{lb.Rewrite{Regexp: "^/api/([a-z]+)/(?P<id>[0-9]+)$", To: "/${id}/$1"}, "/api/u/7?x", "/7/u?x"},
		{lb.Rewrite{Regexp: "^/api/([a-z]+)/(?P<id>[0-9]+)$", To: "/${id}/$1"}, "/api/u/x", "/api/u/x"},
		{lb.Rewrite{Regexp: "^/api/", To: ""}, "/api/a", "/a"},
		{lb.Rewrite{Regexp: "^/api/a(..)b", To: "/x/$1/y"}, "/api/a..b", "/y"},
	} {
		th := newTheatre(t, 1, func(v *lb.Service) { v.Routes = []lb.Route{{Path: prefix, Rewrite: c.rewrite}} })
		if got, _ := th.sent(request(c.path)); line(got) != "GET "+c.want+" HTTP/1.1" {
			t.Errorf("%+v of %s: %q, want %s", c.rewrite, c.path, line(got), c.want)
		}
	}
	for path, fault := range map[string]string{"/api/a..b": "out of the root", "/api/ax%20b": "half an escape"} {
		th := newTheatre(t, 1, func(v *lb.Service) {
			v.Routes = []lb.Route{{Path: prefix, Rewrite: lb.Rewrite{Regexp: "^/api/a(..).*", To: "/$1"}}}
		})
		if _, answer := th.sent(request(path)); status(answer) != "400" {
			t.Errorf("%s: %q", fault, answer)
		}
	}
}

func TestHeadersAreEdited(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) {
		v.Routes = []lb.Route{{
			Request: lb.HeaderEdits{
				Set: []lb.Header{{Name: "X-Env", Value: "lab"}, {Name: "X-Forwarded-Proto", Value: "https"}},
				Add: []lb.Header{{Name: "X-More", Value: "2"}}, Remove: []string{"Cookie", "via", "X-Gone"},
			},
			Response: lb.HeaderEdits{Set: []lb.Header{{Name: "Server", Value: "lbctl"}}, Remove: []string{"X-Old", "Via"}},
		}}
	})
	got, answer := th.sent("GET / HTTP/1.1\r\nHost: h\r\nX-ENV: a\r\nx-env: b\r\nX-More: 1\r\nCookie: c\r\nX-Gone: 1\r\nX-Forwarded-Proto: ftp\r\nVia: 1.1 v\r\n\r\n")
	if want := "GET / HTTP/1.1\r\nHost: h\r\nX-More: 1\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Host: h\r\n" +
		"X-Env: lab\r\nX-Forwarded-Proto: https\r\nX-More: 2\r\n\r\n"; got != want {
		t.Errorf("the backend got %q, want %q", got, want)
	}
	if want := "HTTP/1.1 200 OK\r\nDate: d\r\nServer: lbctl\r\nContent-Length: 5\r\n\r\nhello"; answer != want {
		t.Errorf("the client got %q, want %q", answer, want)
	}
}

func TestBackendsAreToldWhoAsked(t *testing.T) {
	const ask = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1\r\nX-Forwarded-Proto: p\r\nX-Forwarded-Host: q\r\nForwarded: for=2\r\nVia: 1.1 v\r\n\r\n"
	for _, c := range []struct {
		modes lb.Forwarding
		want  string // after Host
	}{
		{lb.Forwarding{}, "Forwarded: for=2\r\nVia: 1.1 v\r\nX-Forwarded-For: 1, 198.51.100.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\nVia: 1.1 lbctl\r\n"},
		{
			lb.Forwarding{For: "append", Proto: "append", Host: "append", Forwarded: "append", NoVia: true},
			"Via: 1.1 v\r\nX-Forwarded-For: 1, 198.51.100.7\r\nX-Forwarded-Proto: p, http\r\nX-Forwarded-Host: q, h\r\nForwarded: for=2, for=198.51.100.7;host=\"h\";proto=http\r\n",
		},
		{
			lb.Forwarding{For: "replace", Proto: "replace", Host: "replace", Forwarded: "replace", NoVia: true},
			"Via: 1.1 v\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\nForwarded: for=198.51.100.7;host=\"h\";proto=http\r\n",
		},
		{
			lb.Forwarding{For: "off", Proto: "off", Host: "off", Forwarded: "off", NoVia: true},
			"X-Forwarded-For: 1\r\nX-Forwarded-Proto: p\r\nX-Forwarded-Host: q\r\nForwarded: for=2\r\nVia: 1.1 v\r\n",
		},
	} {
		th := newTheatre(t, 1, func(v *lb.Service) { v.HTTP.Forwarding = c.modes })
		if got, _ := th.sent(ask); got != "GET / HTTP/1.1\r\nHost: h\r\n"+c.want+"\r\n" {
			t.Errorf("%+v: %q", c.modes, got)
		}
	}
}

func TestHostCanBeTheBackendsAlsoAtTheNextOne(t *testing.T) {
	th := newTheatre(t, 2, func(v *lb.Service) {
		v.HTTP.Forwarding.BackendHost = true
		v.Backends[1].Addr = withPort(v.Backends[1].Addr, 8080)
	})
	k := th.accept()
	k.says("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab", 0)
	first := th.connected()
	if got := first.took(); !strings.HasPrefix(got, "PUT / HTTP/1.1\r\nHost: 10.0.0.1\r\n") || bodyOf(got) != "ab" {
		t.Errorf("%q", got)
	}
	first.backend.Closed(errReset)
	if got := th.connected().took(); !strings.HasPrefix(got, "PUT / HTTP/1.1\r\nHost: 10.0.0.2:8080\r\nX-Forwarded-For: ") || bodyOf(got) != "ab" {
		t.Errorf("%q", got)
	}
}

func TestRequestsGetAnID(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) { v.HTTP.Forwarding.RequestID = true })
	seen := map[string]bool{}
	for typed, kept := range map[string]bool{
		"": false, "X-Request-ID: abc-123_~:/+=.\r\n": true, "X-Request-ID: a b\r\n": false, "X-Request-ID:\r\n": false, "X-Request-ID: \xe4\r\n": false,
		"X-Request-ID: a\r\nX-Request-ID: b\r\n": false, "X-Request-ID: " + strings.Repeat("x", 129) + "\r\n": false,
	} {
		got, _ := th.sent("GET / HTTP/1.1\r\nHost: h\r\n" + typed + "\r\n")
		_, id, _ := strings.Cut(got, "X-Request-ID: ")
		id = line(id)
		if strings.Count(got, "X-Request-ID") != 1 || kept != strings.Contains(got, "X-Request-ID: abc-123_~:/+=.\r\n") || !kept && len(id) != 32 || seen[id] {
			t.Errorf("%q: %q", typed, got)
		}
		seen[id] = true
	}
}
