package http1

// A Request is a request's head. Slices are of the parser's buffer.
type Request struct {
	Method     Method
	MethodName []byte

	Target []byte // as on the line
	Form   Form
	Path   []byte // of Target, undecoded; "/" or "*" where absolute-form has none (RFC 9112 3.2.4); nil for CONNECT
	Query  []byte // without '?'; nil if there is none, empty if there is nothing after '?'
	Host   []byte // the authority: absolute-form's or CONNECT's if there is one, else Host's; empty in HTTP/1.0 only

	Minor  uint8   // 0 or 1, for HTTP/1.Minor
	Fields []Field // all of them, in order; the capacity is used again

	Body   Framing // never UntilClose
	Length uint64  // if ByLength

	KeepAlive  bool   // the connection may persist after this exchange (RFC 9112 9.3)
	Expect100  bool   // the client waits for 100 before it sends a body that is not empty (RFC 9110 10.1.1)
	Upgrade    []byte // the value of Upgrade if Connection lists it and this is HTTP/1.1, else nil
	TETrailers bool   // TE lists trailers, and Connection TE (RFC 9110 10.1.4)
}

func (p *Parser) request(buf []byte, r *Request) (n int, err *Error) {
	if p.line == 0 {
		if p.line, err = p.requestLine(buf, r); p.line == 0 || err != nil {
			return 0, err
		}
		r.Fields = r.Fields[:0]
	}
	if r.Fields, n, err = p.fields(buf, r.Fields, ofRequest); n == 0 {
		return 0, err
	}
	if p.again {
		p.Reset()
		return p.request(buf, r)
	}
	if err = p.facts.request(r); err != nil {
		return 0, err
	}
	return n, nil
}

// request sets what the fields say about a request.
func (k *facts) request(r *Request) (err *Error) {
	switch {
	case k.is&hasHosts != 0:
		return ErrHosts
	case k.is&hasHost == 0 && r.Minor > 0:
		return ErrNoHost // RFC 9112 3.2
	case k.is&hasHost != 0 && !validHost(k.host):
		return ErrHost // also if the target wins
	}
	if r.Form == Origin || r.Form == Asterisk {
		r.Host = k.host
	}
	if r.Body, r.Length, err = k.framing(r.Minor); err != nil {
		return err
	}
	if (r.Method == CONNECT || r.Method == TRACE) && r.Body != NoBody {
		return ErrUnframed
	}
	r.KeepAlive = k.keepAlive(r.Minor)
	r.Expect100 = k.is&has100 != 0 && r.Minor > 0 && (r.Body == Chunked || r.Length > 0)
	r.Upgrade = k.upgradeTo(r.Minor)
	r.TETrailers = k.is&(hasTrailers|saysTE) == hasTrailers|saysTE
	k.markNamed(r.Fields)
	return nil
}
