package l7

import "strings"

// lineTricks are heads that some cut into other lines.
func lineTricks() (all []trick) {
	for _, c := range []struct {
		name, lines string
	}{
		{"bare LF ends a line", "X: y\nZ: z\r\n"},
		{"bare LF ends the head", "X: y\r\n\nGET /smuggled HTTP/1.1\r\n"},
		{"two bare LFs end the head", "X: y\n\nGET /smuggled HTTP/1.1\r\n"},
		{"bare CR ends a line", "X: y\rZ: z\r\n"},
		{"two bare CRs end the head", "X: y\r\rGET /smuggled HTTP/1.1\r\n"},
		{"CR at the end of a value", "X: y\r\r\n"},
		{"CR at the beginning of a value", "X:\ry\r\n"},
		{"CR LF CR", "X: y\r\n\rGET /smuggled HTTP/1.1\r\n"},
		{"NUL in a value", "X: a\x00b\r\n"},
		{"vertical tab in a value", "X: a\x0bb\r\n"},
		{"NUL in a name", "X\x00: a\r\n"},
		{"folded", "X: a\r\n b\r\n"},
		{"folded with nothing", "X: a\r\n \r\n"},
		{"folded with a request", "X: a\r\n GET /smuggled HTTP/1.1\r\n"},
		{"space before a colon", "X : a\r\n"},
		{"no name", ": a\r\n"},
		{"no colon", "X\r\n"},
		{"space in a name", "X Y: a\r\n"},
		{"parenthesis in a name", "X(Y): a\r\n"},
		{"high byte in a name", "X\xe9: a\r\n"},
		{"a request line as a field", "GET /smuggled HTTP/1.1\r\n"},
	} {
		all = append(all, trick{"lines", c.name, with("GET", c.lines, ""), refused(400)})
	}
	return append(all,
		trick{"lines", "whitespace before the first field", "GET /front HTTP/1.1\r\n Host: h\r\n\r\n", refused(400)},
		trick{"lines", "bare LF after the request line", "GET /front HTTP/1.1\nHost: h\r\n\r\n", refused(400)},
		trick{"lines", "bare LFs only", "GET /front HTTP/1.1\nHost: h\n\n", refused(400)},
		trick{"lines", "bare CRs only", "GET /front HTTP/1.1\rHost: h\r\r", refused(400)},
		trick{"lines", "two empty lines in front", "\r\n\r\n" + with("GET", "", ""), refused(400)},
		trick{"lines", "bare LF in front", "\n" + with("GET", "", ""), refused(400)},
		trick{"lines", "one empty line in front", "\r\n" + with("GET", "", ""), unframed},
		trick{"lines", "high bytes in a value", with("GET", "X: \xe9\xff\r\n", ""), unframed},
		trick{"lines", "a request as a value", with("GET", "X: GET /smuggled HTTP/1.1\r\n", ""), unframed},
		trick{"lines", "too many fields", with("GET", strings.Repeat("X: y\r\n", 300), ""), refused(431)},
		trick{"lines", "too large", with("GET", "X: "+strings.Repeat("y", 70<<10)+"\r\n", ""), refused(431)},
	)
}

// hostTricks are requests that go to one host by one reader and to another by the next.
func hostTricks() (all []trick) {
	for _, c := range []struct {
		name, lines string
		want        verdict
	}{
		{"none", "", refused(400)},
		{"two", "Host: h\r\nHost: evil\r\n", refused(400)},
		{"two of the same", "Host: h\r\nHost: h\r\n", refused(400)},
		{"two in other cases", "Host: h\r\nhost: evil\r\n", refused(400)},
		{"empty", "Host:\r\n", refused(400)},
		{"empty and another", "Host:\r\nHost: h\r\n", refused(400)},
		{"space before the colon", "Host : h\r\n", refused(400)},
		{"folded", "Host: h\r\n evil\r\n", refused(400)},
		{"list", "Host: h, evil\r\n", refused(400)},
		{"space inside", "Host: h evil\r\n", refused(400)},
		{"tab inside", "Host: h\tevil\r\n", refused(400)},
		{"userinfo", "Host: evil@h\r\n", refused(400)},
		{"userinfo with a port", "Host: h:80@evil\r\n", refused(400)},
		{"path", "Host: h/evil\r\n", refused(400)},
		{"query", "Host: h?evil\r\n", refused(400)},
		{"fragment", "Host: h#evil\r\n", refused(400)},
		{"backslash", "Host: h\\evil\r\n", refused(400)},
		{"scheme", "Host: http://h\r\n", refused(400)},
		{"port that is no number", "Host: h:evil\r\n", refused(400)},
		{"two ports", "Host: h:80:81\r\n", refused(400)},
		{"port with a sign", "Host: h:+80\r\n", refused(400)},
		{"port with a host after it", "Host: h:80evil\r\n", refused(400)},
		{"port too large", "Host: h:65616\r\n", refused(400)},
		{"port of 2^32 and 80", "Host: h:4294967376\r\n", refused(400)},
		{"port only", "Host: :80\r\n", refused(400)},
		{"bracket", "Host: [::1\r\n", refused(400)},
		{"after a bracket", "Host: [::1]evil\r\n", refused(400)},
		{"zone", "Host: [fe80::1%25eth0]\r\n", refused(400)},
		{"broken escape", "Host: h%2\r\n", refused(400)},
		{"NUL", "Host: h\x00evil\r\n", refused(400)},
		{"high byte", "Host: h\xe9\r\n", refused(400)},
		{"empty port", "Host: h:\r\n", unframed.at("h:")},
		{"port", "Host: h:8080\r\n", unframed.at("h:8080")},
		{"whitespace around it", "Host: \t h \t\r\n", unframed},
		{"underscore", "H_ost: evil\r\nHost: h\r\n", unframed},
		{"X-Forwarded-Host of the client", "Host: h\r\nX-Forwarded-Host: evil\r\n", unframed},
		{"X_Forwarded_Host of the client", "Host: h\r\nX_Forwarded_Host: evil\r\n", unframed.lacking("x_forwarded_host")},
		{"X_Forwarded-For of the client", "Host: h\r\nX_Forwarded-For: 1.2.3.4\r\n", unframed.lacking("x_forwarded-for")},
	} {
		all = append(all, trick{"Host", c.name, "GET /front HTTP/1.1\r\n" + c.lines + "\r\n", c.want})
	}
	return append(all,
		trick{"Host", "absolute form of another", "GET http://evil/front HTTP/1.1\r\nHost: h\r\n\r\n", unframed.at("evil")},
		trick{"Host", "absolute form, upper case scheme", "GET HTTP://evil/front HTTP/1.1\r\nHost: h\r\n\r\n", unframed.at("evil")},
		trick{"Host", "absolute form, Host broken", "GET http://h/front HTTP/1.1\r\nHost: h@evil\r\n\r\n", refused(400)},
		trick{"Host", "absolute form, no Host", "GET http://h/front HTTP/1.1\r\n\r\n", refused(400)},
		trick{"Host", "absolute form, two Hosts", "GET http://h/front HTTP/1.1\r\nHost: h\r\nHost: evil\r\n\r\n", refused(400)},
		trick{"Host", "absolute form, userinfo", "GET http://h@evil/front HTTP/1.1\r\nHost: h\r\n\r\n", refused(400)},
		trick{"Host", "absolute form, no host", "GET http:///front HTTP/1.1\r\nHost: h\r\n\r\n", refused(400)},
		trick{"Host", "absolute form, backslash", "GET http://h\\evil/front HTTP/1.1\r\nHost: h\r\n\r\n", refused(400)},
		trick{"Host", "absolute form, one slash", "GET http:/h/front HTTP/1.1\r\nHost: h\r\n\r\n", refused(400)},
		trick{"Host", "absolute form, other scheme", "GET ftp://h/front HTTP/1.1\r\nHost: h\r\n\r\n", refused(400)},
		trick{"Host", "absolute form, query at once", "GET http://evil?x=/front HTTP/1.1\r\nHost: h\r\n\r\n", unframed.at("evil")},
		trick{"Host", "none in HTTP/1.0", "GET /front HTTP/1.0\r\n\r\n" + hidden, unframed.at("*").last()},
	)
}

// targetTricks are first lines that some cut otherwise.
func targetTricks() (all []trick) {
	for _, c := range []struct {
		name, line string
		want       verdict
	}{
		{"two spaces before the target", "GET  /front HTTP/1.1", refused(400)},
		{"two spaces after the target", "GET /front  HTTP/1.1", refused(400)},
		{"space in front", " GET /front HTTP/1.1", refused(400)},
		{"space after the version", "GET /front HTTP/1.1 ", refused(400)},
		{"tab for the first space", "GET\t/front HTTP/1.1", refused(400)},
		{"tab for the second space", "GET /front\tHTTP/1.1", refused(400)},
		{"vertical tab for a space", "GET\x0b/front HTTP/1.1", refused(400)},
		{"no-break space for a space", "GET\xa0/front HTTP/1.1", refused(400)},
		{"bare CR for a space", "GET\r/front HTTP/1.1", refused(400)},
		{"space in the target", "GET /front /smuggled HTTP/1.1", refused(400)},
		{"two versions", "GET /smuggled HTTP/1.1 /front HTTP/1.1", refused(400)},
		{"fragment", "GET /front#a HTTP/1.1", refused(400)},
		{"NUL in the target", "GET /front\x00 HTTP/1.1", refused(400)},
		{"high byte in the target", "GET /front\xe9 HTTP/1.1", refused(400)},
		{"bare CR in the target", "GET /front\r HTTP/1.1", refused(400)},
		{"broken escape", "GET /front%2 HTTP/1.1", refused(400)},
		{"relative", "GET front HTTP/1.1", refused(400)},
		{"empty", "GET  HTTP/1.1", refused(400)},
		{"asterisk", "GET * HTTP/1.1", refused(400)},
		{"authority", "GET h:80 HTTP/1.1", refused(400)},
		{"no version", "GET /front", refused(400)},
		{"HTTP/0.9", "GET /front HTTP/0.9", refused(505)},
		{"HTTP/1.10", "GET /front HTTP/1.10", refused(400)},
		{"HTTP/01.1", "GET /front HTTP/01.1", refused(400)},
		{"HTTP/1.", "GET /front HTTP/1.", refused(400)},
		{"HTTP/1", "GET /front HTTP/1", refused(400)},
		{"HTTP/2.0", "GET /front HTTP/2.0", refused(505)},
		{"HTTP/1,1", "GET /front HTTP/1,1", refused(400)},
		{"lower case version", "GET /front http/1.1", refused(400)},
		{"HTTP /1.1", "GET /front HTTP /1.1", refused(400)},
		{"another protocol", "GET /front ICAP/1.0", refused(400)},
		{"no method", "/front HTTP/1.1", refused(400)},
		{"method that is no token", "GE{T /front HTTP/1.1", refused(400)},
		{"method in quotes", "\"GET\" /front HTTP/1.1", refused(400)},
		{"method with a colon", "GET: /front HTTP/1.1", refused(400)},
		{"long method", strings.Repeat("G", 40) + " /front HTTP/1.1", refused(501)},
		{"CONNECT", "CONNECT h:80 HTTP/1.1", verdict{status: 501}},
		{"CONNECT to a path", "CONNECT /front HTTP/1.1", refused(400)},
		{"long target", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1", refused(414)},
		{"lower case method", "get /front HTTP/1.1", unframed},
		{"HTTP/1.2", "GET /front HTTP/1.2", unframed},
		{"HTTP/1.9", "GET /front HTTP/1.9", unframed},
		{"two slashes", "GET //front HTTP/1.1", unframed},
		{"escaped CRLF", "GET /front%0d%0aX:%20y HTTP/1.1", unframed},
		{"escaped NUL", "GET /front?%00 HTTP/1.1", unframed},
		{"dots", "GET /a/../front HTTP/1.1", unframed},
		{"brackets and quotes", "GET /front?[\"<>|^`{}\\] HTTP/1.1", unframed},
		{"asterisk for OPTIONS", "OPTIONS * HTTP/1.1", unframed},
	} {
		all = append(all, trick{"line", c.name, c.line + "\r\nHost: h\r\n\r\n", c.want})
	}
	return append(all,
		trick{"line", "HTTP/0.9 and a request", "GET /front\r\n" + hidden, refused(400)},
		trick{"line", "HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refused(505)},
		trick{"line", "HTTP/2's preface and a request", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden, refused(505)},
		trick{"line", "TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + hidden, refused(400)},
		trick{"line", "PROXY protocol", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + hidden, refused(400)},
		trick{"line", "HTTP/1.0 that keeps alive", "GET /front HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n" + hidden, unframed.last()},
		trick{"line", "an answer for a request", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + hidden, refused(400)},
	)
}
