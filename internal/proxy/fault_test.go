package proxy

import (
	"strings"
	"testing"

	"lbctl/internal/accesslog"
	"lbctl/internal/lb"
)

// Behind a request that is refused may be what only looks like another one: a client
// that is sure of its tunnel sends what goes into it along with CONNECT.
func TestTheAnswerToAFaultyRequestIsTheLast(t *testing.T) {
	routes := func(v *lb.Service) {
		v.HTTP.MaxBody, v.HTTP.Limits = 5, lb.Limits{Line: 50, Head: 500, Fields: 3}
		v.Routes = []lb.Route{
			{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: "/gone"}, Respond: lb.Respond{Status: 404, Body: "no"}},
			{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: "/moved"}, Redirect: lb.Redirect{Status: 302, To: "{path}"}, Rewrite: lb.Rewrite{Regexp: "^/moved(/.*)x(.*)$", To: "$1$2"}},
			{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: "/sub"}, Rewrite: lb.Rewrite{Regexp: "^/sub(/.*)x(.*)$", To: "$1$2"}},
		}
	}
	for _, c := range []struct{ request, status string }{
		{"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", "501"},
		{request("/%2f"), "400"},
		{request("/a/..;x/b"), "400"},
		{request("/../b"), "400"},
		{request("/moved/.x."), "400"}, // the rewrite makes /.. of it
		{request("/sub/.x."), "400"},
		{"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"OPTIONS /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: x\r\n\r\n", "400"},
		{"TRACE /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: 1\r\nMax-Forwards: 2\r\n\r\n", "400"},
		{"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabcdef", "413"},
		{"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n", "413"},
		{"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n0\r\n\r\n", "400"},
		{"GET /" + strings.Repeat("x", 50) + " HTTP/1.1\r\nHost: x\r\n\r\n", "414"},
		{"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nB: c\r\nC: d\r\n\r\n", "431"},
		{"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505"},
		{"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"},
		{"GET / HTTP/1.1\r\nHost: x\r\nExpect: y\r\n\r\n", "417"},
	} {
		th, l := recorded(t, 1, routes)
		k := th.accept()
		k.says(c.request+request("/behind"), 0)
		out := k.took()
		if status(out) != c.status || !strings.Contains(out, "\r\nConnection: close\r\n") || strings.Count(out, "HTTP/1.1 ") != 1 || len(th.dialled) != 0 || !k.shut {
			t.Errorf("%q: %q, %d connections to backends", c.request, out, len(th.dialled))
			continue
		}
		k.says(request("/behind"), 0) // also what comes later
		if out := k.took(); out != "" || len(l.records) != 1 || l.records[0].End != accesslog.BadRequest {
			t.Errorf("%q: then %q; %+v", c.request, out, l.records)
		}
		th.idle()
	}
}

func TestAnAnswerOfTheProxyToASoundRequestIsNotTheLast(t *testing.T) {
	th := newTheatre(t, 0, func(v *lb.Service) {
		v.Routes = []lb.Route{{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: "/gone"}, Respond: lb.Respond{Status: 404, Body: "no"}}}
	})
	for request, want := range map[string]string{
		request("/gone"): "404",
		request("/"):     "503", // the service has no backend
		"TRACE / HTTP/1.1\r\nHost: x\r\nMax-Forwards: 0\r\n\r\n": "405",
	} {
		k := th.accept()
		k.says(request+request, 0)
		if out := k.took(); status(out) != want || strings.Contains(out, "Connection: close") || strings.Count(out, "HTTP/1.1 ") != 2 {
			t.Errorf("%q: %q", request, out)
		}
	}
	th.idle()
}
