package proxy

import (
	"strings"
	"testing"
)

func TestAConnectionThatHasSpokenUnaskedIsNotTaken(t *testing.T) {
	// What it said would be taken for the answer of whoever asks next.
	th := newTheatre(t, 1)
	k := th.accept()
	k.says(get, 0)
	th.connected().says(hello, 0)
	k.took()
	th.stale = true
	k.says(get, 0)
	if len(th.dialled) != 2 || th.dialled[0].ended == "" {
		t.Fatal("a GET went over a connection on which something has come")
	}
	th.connected().says(hello, 0)
	if out := k.took(); status(out) != "200" {
		t.Errorf("the client got %q", out)
	}
	th.idle()
}

func TestABodyWhereFewExpectOneIsItsConnectionsLast(t *testing.T) {
	// A backend that looks for no body there takes it for the next request.
	for method, last := range map[string]bool{"GET": true, "HEAD": true, "DELETE": true, "OPTIONS": true, "POST": false, "PUT": false, "PATCH": false} {
		for _, body := range []string{"Content-Length: 1\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "Content-Length: 0\r\n\r\n"} {
			last := last && !strings.Contains(body, ": 0")
			th := newTheatre(t, 1)
			k := th.accept()
			k.says(method+" / HTTP/1.1\r\nHost: x\r\n"+body, 0)
			s := th.connected()
			if out := s.took(); strings.Contains(out, "\r\nConnection: close\r\n") != last {
				t.Errorf("%s, %q: the backend got %q", method, body, out)
			}
			s.says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0)
			if out := k.took(); strings.Contains(out, "Connection: close") || k.ended != "" {
				t.Errorf("%s: the client lost its connection: %q", method, out)
			}
			if (s.ended != "") != last {
				t.Errorf("%s, %q: the backend's connection %q", method, body, s.ended)
			}
			th.idle()
		}
	}
}

func TestAProtocolWithRequestsOfItsOwnIsNotAskedFor(t *testing.T) {
	for protocol, passes := range map[string]bool{
		"websocket": true, "SPDY/3.1": true, "tcp": true, "h2cx": true,
		"h2c": false, "H2C": false, "h2": false, "HTTP/2.0": false, "http": false, "TLS/1.0": false, "websocket, h2c": false, "h2c, websocket": false, "tls/1.3,http/1.1": false,
	} {
		th := newTheatre(t, 1)
		k := th.accept()
		k.says("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\nUpgrade: "+protocol+"\r\n\r\n", 0)
		s := th.connected()
		if out := s.took(); strings.Contains(out, "Upgrade") != passes || strings.Contains(out, "HTTP2") {
			t.Errorf("%s: the backend got %q", protocol, out)
		}
		s.says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n", 0)
		if out := k.took(); (status(out) == "101") != passes {
			t.Errorf("%s: the client got %q", protocol, out)
		}
	}
}

func TestASwitchToNoProtocolIsNoAnswer(t *testing.T) {
	th := newTheatre(t, 1)
	k := th.accept()
	k.says("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 0)
	th.connected().says("HTTP/1.1 101 Switching Protocols\r\n\r\n", 0)
	if out := k.took(); status(out) != "502" {
		t.Errorf("the client got %q", out)
	}
	th.idle()
}

func TestAnAnswerWithoutABodySaysNothingOfItsLength(t *testing.T) {
	// RFC 9110, section 8.6: no Content-Length with 1xx and 204.
	th := newTheatre(t, 1)
	k := th.accept()
	k.says(get, 0)
	s := th.connected()
	s.says("HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\nLink: l\r\n\r\n", 0)
	s.says("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 0)
	if out := k.took(); strings.Contains(out, "Content-Length") || !strings.Contains(out, "Link: l") || !strings.Contains(out, " 204 ") {
		t.Errorf("the client got %q", out)
	}
	k.says("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 0)
	s.says("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 0)
	if out := k.took(); !strings.Contains(out, "Content-Length: 7\r\n") {
		t.Errorf("HEAD: the client got %q", out)
	}
}

func TestNobodyElseWritesWhoAsked(t *testing.T) {
	// Who hands fields on as variables, as CGI does, cannot tell - and _ apart.
	th := newTheatre(t, 1)
	k := th.accept()
	k.says("GET / HTTP/1.1\r\nHost: x\r\nX_Forwarded_For: a\r\nx-forwarded_host: b\r\nX_FORWARDED-PROTO: c\r\nX_Forwarded_Forx: d\r\nX.Forwarded.For: e\r\n\r\n", 0)
	want := "GET / HTTP/1.1\r\nHost: x\r\nX_Forwarded_Forx: d\r\nX.Forwarded.For: e\r\nX-Forwarded-For: 198.51.100.7\r\n" +
		"X-Forwarded-Proto: http\r\nX-Forwarded-Host: x\r\nVia: 1.1 lbctl\r\n\r\n"
	if out := th.connected().took(); out != want {
		t.Errorf("the backend got %q", out)
	}
}
