package proxy

import (
	"strings"
	"testing"

	"lbctl/internal/lb"
)

func TestMaxForwardsEndsAtZero(t *testing.T) {
	for _, c := range []struct{ method, came, goes string }{
		{"OPTIONS", "Max-Forwards: 0\r\n", "200"},
		{"OPTIONS", "max-forwards: 000\r\n", "200"},
		{"OPTIONS", "Max-Forwards: 1\r\n", "Max-Forwards: 0\r\n"},
		{"OPTIONS", "Max-Forwards: 10\r\n", "Max-Forwards: 9\r\n"},
		{"OPTIONS", "Max-Forwards: 0012\r\n", "Max-Forwards: 11\r\n"},
		{"OPTIONS", "Max-Forwards: 99999999999999999999999999\r\n", "Max-Forwards: 999999\r\n"},
		{"OPTIONS", "X-A: b\r\n", "X-A: b\r\n"},
		{"OPTIONS", "Max-Forwards: -1\r\n", "400"},
		{"OPTIONS", "Max-Forwards:\r\n", "400"},
		{"OPTIONS", "Max-Forwards: 1, 1\r\n", "400"},
		{"OPTIONS", "Max-Forwards: 1\r\nMax-Forwards: 0\r\n", "400"},
		{"OPTIONS", "Connection: Max-Forwards\r\nMax-Forwards: 0\r\n", "200"},
		{"TRACE", "Max-Forwards: 0\r\nCookie: a=b\r\n", "405"},
		{"TRACE", "Max-Forwards: 2\r\nCookie: a=b\r\n", "Max-Forwards: 1\r\nCookie: a=b\r\n"},
		{"TRACE", "", ""},
		{"GET", "Max-Forwards: 0\r\n", "Max-Forwards: 0\r\n"},
		{"GET", "Max-Forwards: x\r\n", "Max-Forwards: x\r\n"},
	} {
		th := newTheatre(t, 1)
		backend, answer := th.sent(c.method + " /a HTTP/1.1\r\nHost: h\r\n" + c.came + "\r\n")
		switch {
		case len(c.goes) != 3:
			if !strings.HasPrefix(backend, c.method+" /a HTTP/1.1\r\nHost: h\r\n"+c.goes+"X-Forwarded-For: ") {
				t.Errorf("%s with %q: the backend got %q", c.method, c.came, backend)
			}
		case status(answer) != c.goes || backend != "":
			t.Errorf("%s with %q: %q", c.method, c.came, answer)
		case c.goes != "400" && (!strings.Contains(answer, "\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nContent-Length: 0\r\n\r\n") || bodyOf(answer) != ""):
			t.Errorf("%s with %q: %q", c.method, c.came, answer)
		}
		th.idle()
	}
}

func TestMaxForwardsIsOfRequestsThatAreForABackend(t *testing.T) {
	th, l := recorded(t, 1, func(v *lb.Service) {
		v.Routes = []lb.Route{{Path: lb.PathMatch{Kind: lb.PathExact, Value: "/here"}, Respond: lb.Respond{Status: 204}}}
	})
	const end = " HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n"
	if _, answer := th.sent("OPTIONS /here" + end + "\r\n"); status(answer) != "204" {
		t.Errorf("what a route answers: %q", answer)
	}
	l.only(t)
	k := th.accept()
	k.says("OPTIONS *"+end+"\r\nOPTIONS /a"+end+"Content-Length: 3\r\n\r\n", 0)
	first, second, _ := strings.Cut(k.took(), "\r\n\r\n")
	if status(first) != "200" || strings.Contains(first, "close") || status(second) != "200" || !strings.Contains(second, "Connection: close\r\n") || !k.shut {
		t.Errorf("without a body and with one: %q, %q", first, second)
	}
	if len(l.records) != 2 || l.records[0].Status != 200 {
		t.Errorf("%+v", l.records)
	}
	k.eof()
	th.idle()
}
