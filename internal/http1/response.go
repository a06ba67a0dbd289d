package http1

// A Response is a response's head. Slices are of the parser's buffer.
type Response struct {
	Status int // 100 to 599
	Minor  uint8
	Reason []byte
	Fields []Field // all of them, in order; the capacity is used again

	Body   Framing
	Length uint64 // if ByLength

	KeepAlive bool   // the connection may persist after this; never if the body is UntilClose
	Upgrade   []byte // the value of Upgrade if Connection lists it and this is HTTP/1.1, else nil
}

func (p *Parser) response(buf []byte, to Method, r *Response) (n int, err *Error) {
	if p.line == 0 {
		if p.line, err = p.statusLine(buf, r); p.line == 0 || err != nil {
			return 0, err
		}
		r.Fields = r.Fields[:0]
	}
	if r.Fields, n, err = p.fields(buf, r.Fields, ofResponse); n == 0 {
		return 0, err
	}
	if p.again {
		p.Reset()
		return p.response(buf, to, r)
	}
	if err = p.facts.response(to, r); err != nil {
		return 0, err
	}
	return n, nil
}

// statusLine reads version SP status [SP [reason]] CRLF (RFC 9112 4). It returns
// where the next line begins, 0 if the line is not there whole.
func (p *Parser) statusLine(buf []byte, r *Response) (int, *Error) {
	limits := orDefault(p.Limits)
	full := min(limits.Line+2, limits.Head)
	w := buf[:min(len(buf), full)]
	if whole, err := version(w, "HTTP/d.d ddd"); err != nil {
		return 0, err
	} else if !whole {
		return 0, p.wait(w, 0, full, ErrLine)
	}
	r.Minor = min(w[7]-'0', 1)
	r.Status = int(w[9]-'0')*100 + int(w[10]-'0')*10 + int(w[11]-'0')
	i := len("HTTP/1.1 200")
	if r.Status < 100 || r.Status > 599 || i < len(w) && w[i] != ' ' && w[i] != '\r' {
		return 0, ErrStatus
	}
	end := skipText(w, i)
	switch {
	case i == len(w):
		return 0, p.wait(w, 0, full, ErrLine)
	case end == len(w):
		return 0, p.wait(w, text, full, ErrLine)
	case w[end] != '\r':
		return 0, valueFault(w[end])
	case end+1 == len(w):
		return 0, p.wait(w, 0, full, ErrLine)
	case w[end+1] != '\n':
		return 0, ErrBareCR
	}
	r.Reason = w[min(i+1, end):end:end]
	return end + 2, nil
}

// response sets what the fields say about a response (RFC 9112 6.3).
func (k *facts) response(to Method, r *Response) (err *Error) {
	if r.Body, r.Length, err = k.framing(r.Minor); err != nil {
		return err
	}
	r.KeepAlive = k.keepAlive(r.Minor)
	switch {
	case to == CONNECT && r.Status/100 == 2:
		r.Body, r.Length, r.KeepAlive = NoBody, 0, false // what follows is a tunnel
	case r.Status < 200 || r.Status == 204:
		if r.Body == Chunked || r.Length > 0 {
			return ErrUnframed
		}
		r.Body = NoBody
	case to == HEAD || r.Status == 304:
		r.Body, r.Length = NoBody, 0 // the fields say what a GET would have had
	case r.Body == NoBody:
		r.Body, r.KeepAlive = UntilClose, false
	}
	r.Upgrade = k.upgradeTo(r.Minor)
	k.markNamed(r.Fields)
	return nil
}
