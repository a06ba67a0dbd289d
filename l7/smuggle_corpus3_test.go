package l7

import "fmt"

// connectionTricks have the proxy take away or add what changes the framing.
func connectionTricks() (all []trick) {
	for _, c := range []struct {
		class, name, lines string
		want               verdict
	}{
		{"Connection", "names Content-Length", "Connection: Content-Length\r\n" + lengthOf(hidden), refused(400)},
		{"Connection", "names Content-Length among others", "Connection: close, content-length\r\n" + lengthOf(hidden), refused(400)},
		{"Connection", "names Host", "Connection: Host\r\n" + lengthOf(hidden), refused(400)},
		{"Connection", "is no token", "Connection: \"close\"\r\n" + lengthOf(hidden), refused(400)},
		{"Connection", "has a parameter", "Connection: close;x\r\n" + lengthOf(hidden), refused(400)},
		{"Connection", "is folded", "Connection:\r\n close\r\n" + lengthOf(hidden), refused(400)},
		{"Connection", "has a vertical tab", "Connection: \x0bclose\r\n" + lengthOf(hidden), refused(400)},
		{"Connection", "names X-Forwarded-For", "Connection: X-Forwarded-For\r\n" + lengthOf(hidden), byLength(len(hidden))},
		{"Connection", "names a field of its own", "Connection: X-A\r\nX-A: b\r\n" + lengthOf(hidden), byLength(len(hidden)).lacking("x-a", "connection")},
		{"Connection", "names itself", "Connection: Connection\r\n" + lengthOf(hidden), byLength(len(hidden)).lacking("connection")},
		{"Connection", "has empty elements", "Connection: , ,\r\n" + lengthOf(hidden), byLength(len(hidden)).lacking("connection")},
		{"Connection", "close, and a request after it", "Connection: close\r\n" + lengthOf(hidden), byLength(len(hidden)).last()},
		{"Connection", "close and keep-alive", "Connection: keep-alive, close\r\n" + lengthOf(hidden), byLength(len(hidden)).last()},
		{"Connection", "Proxy-Connection", "Proxy-Connection: close\r\n" + lengthOf(hidden), byLength(len(hidden)).lacking("proxy-connection")},
		{"Connection", "Keep-Alive", "Keep-Alive: timeout=1\r\n" + lengthOf(hidden), byLength(len(hidden)).lacking("keep-alive")},
		{"Connection", "TE that was not named", "TE: trailers\r\n" + lengthOf(hidden), byLength(len(hidden)).lacking("te")},

		{"Expect", "100-continue, body at once", "Expect: 100-continue\r\n" + lengthOf(hidden), byLength(len(hidden))},
		{"Expect", "upper case", "Expect: 100-CONTINUE\r\n" + lengthOf(hidden), byLength(len(hidden))},
		{"Expect", "twice", "Expect: 100-continue\r\nExpect: 100-continue\r\n" + lengthOf(hidden), byLength(len(hidden))},
		{"Expect", "another", "Expect: y\r\n" + lengthOf(hidden), refused(417)},
		{"Expect", "y 100-continue", "Expect: y 100-continue\r\n" + lengthOf(hidden), refused(417)},
		{"Expect", "list", "Expect: 100-continue, y\r\n" + lengthOf(hidden), refused(417)},
		{"Expect", "empty", "Expect:\r\n" + lengthOf(hidden), refused(417)},
		{"Expect", "two, one of them another", "Expect: 100-continue\r\nExpect: y\r\n" + lengthOf(hidden), refused(417)},
		{"Expect", "folded", "Expect:\r\n 100-continue\r\n" + lengthOf(hidden), refused(417)},
		{"Expect", "two with lengths that differ", "Expect: 100-continue\r\nContent-Length: 0\r\n" + lengthOf(hidden), refused(400)},
		{"Expect", "named by Connection", "Expect: 100-continue\r\nConnection: Expect\r\n" + lengthOf(hidden), byLength(len(hidden))},

		{"Upgrade", "h2c with a body", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n" + lengthOf(hidden), byLength(len(hidden)).lacking("upgrade", "connection", "http2-settings")},
		{"Upgrade", "WebSocket with a body", "Connection: Upgrade\r\nUpgrade: websocket\r\n" + lengthOf(hidden), byLength(len(hidden)).lacking("upgrade", "connection")},
		{"Upgrade", "not named by Connection, with a body", "Upgrade: websocket\r\n" + lengthOf(hidden), byLength(len(hidden)).lacking("upgrade")},
		{"Upgrade", "with two lengths", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n" + lengthOf(hidden), refused(400)},
	} {
		all = append(all, trick{c.class, c.name, with("POST", c.lines, hidden), c.want})
	}
	// Without a body it would be sent on, for a tunnel. Past that the proxy sees no request any
	// more, so protocols in which there are others behind it are not asked for.
	for _, c := range []struct{ name, lines string }{
		{"h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"},
		{"h2c, its settings not named", "Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"},
		{"H2C", "Connection: upgrade\r\nUpgrade: H2C\r\n"},
		{"h2c in a list", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"},
		{"HTTP/2.0", "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n"},
		{"TLS/1.3", "Connection: Upgrade\r\nUpgrade: TLS/1.3, HTTP/1.1\r\n"},
		{"two fields", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"},
		{"not named by Connection", "Upgrade: h2c\r\n"},
	} {
		all = append(all, trick{"Upgrade", c.name, with("GET", c.lines, ""), unframed.lacking("upgrade", "connection")})
	}
	return append(all,
		trick{"Upgrade", "in HTTP/1.0", "GET /front HTTP/1.0\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + hidden, unframed.lacking("upgrade", "connection").last()},
	)
}

// bodyTricks are CL.0 and 0.CL: a second request in the body of one that some say
// has none.
func bodyTricks() (all []trick) {
	for _, method := range []string{"GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "PROPFIND", "POST"} {
		all = append(all,
			trick{"CL.0", method + " by length", with(method, lengthOf(hidden), hidden), byLength(len(hidden))},
			trick{"CL.0", method + " in chunks", with(method, chunked, chunk(hidden)), inChunks(len(hidden))},
			trick{"0.CL", method + " by both", with(method, lengthOf(lastzero+hidden)+chunked, lastzero+hidden), refused(400)},
			trick{"0.CL", method + " of a length that does not come", with(method, fmt.Sprintf("Content-Length: %d\r\n", len(hidden)+9), hidden), unwhole},
		)
	}
	get := "GET /front HTTP/1.1\r\nHost: h\r\nX: y\r\n" // without its empty line
	return append(all,
		trick{"CL.0", "a body that ends within a head", with("POST", lengthOf(hidden+get), hidden+get), byLength(len(hidden + get))},
		trick{"CL.0", "a body of empty lines", with("POST", "Content-Length: 4\r\n", "\r\n\r\n"), byLength(4)},
		trick{"CL.0", "a body that is a chunked one", with("POST", lengthOf(chunk(hidden)), chunk(hidden)), byLength(len(chunk(hidden)))},
		trick{"CL.0", "CONNECT by length", "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n" + lengthOf(hidden) + "\r\n" + hidden, refused(400)},
		trick{"CL.0", "CONNECT in chunks", "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n" + chunked + "\r\n" + chunk(hidden), refused(400)},
		trick{"CL.0", "CONNECT, and the tunnel's bytes at once", "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n" + hidden, refused(501)},
		trick{"CL.0", "CONNECT in HTTP/1.0, and the tunnel's bytes at once", "CONNECT h:80 HTTP/1.0\r\nHost: h:80\r\nConnection: keep-alive\r\n\r\n" + hidden, refused(501)},
		trick{"CL.0", "TRACE by length", with("TRACE", lengthOf(hidden), hidden), refused(400)},
		trick{"CL.0", "TRACE in chunks", with("TRACE", chunked, chunk(hidden)), refused(400)},
	)
}
