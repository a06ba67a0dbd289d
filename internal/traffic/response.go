package traffic

// response is a response head. Its server points into the head it was parsed from.
type response struct {
	status int
	minor  byte
	server []byte // X-Server
	framing
}

// parseResponse reads a head that ends in an empty line.
func parseResponse(head []byte) (response, error) {
	r := response{framing: framing{length: -1}}
	line, fields, err := cutLine(head)
	if err != nil {
		return r, err
	}
	// "HTTP/1.1 200 OK"; the space after the status is needed, the reason is not.
	if len(line) < 13 || string(line[:7]) != "HTTP/1." || line[8] != ' ' || line[12] != ' ' {
		return r, malformed("status line %.60q", line)
	}
	if r.minor = line[7] - '0'; r.minor > 1 {
		return r, malformed("version %q", line[:8])
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return r, malformed("status line %.60q", line)
		}
		r.status = r.status*10 + int(c-'0')
	}
	for _, c := range line[13:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return r, malformed("status line %.60q", line)
		}
	}
	if r.status < 100 || r.status > 599 {
		return r, malformed("status %d", r.status)
	}
	err = eachField(fields, func(name, value []byte) error {
		if is(name, "X-Server") {
			r.server = value
		}
		return r.field(name, value)
	})
	if err != nil {
		return r, err
	}
	return r, r.check(r.minor)
}

// interim reports whether another head follows this one.
func (r *response) interim() bool { return r.status < 200 }

// bodyless reports whether the answer to a GET ends with its head, RFC 9112, 6.3.
func (r *response) bodyless() bool {
	return r.status < 200 || r.status == 204 || r.status == 304
}

// untilClose reports whether only the end of the connection ends the body.
func (r *response) untilClose() bool {
	return !r.bodyless() && !r.chunked && r.length < 0
}
