package http1

// A Parser reads heads that come in pieces. buf always begins where the head
// begins, and each call may have more of it, at another address if need be. The
// parser remembers how far it looked, so a head that comes byte by byte costs
// linear time; one that came in pieces is read a second time when it is whole, for
// slices of earlier calls may be of another buffer. The result n is the head's length, 0 if it is not there whole; the
// same bytes have the same result however they were cut. Errors are reported as
// soon as the bytes that make them certain are there, but for those that depend on
// a whole line or head.
//
// After n > 0 or an error the parser is ready for the next head. The zero value
// is ready and has DefaultLimits. It must not be copied while a head is under way.
type Parser struct {
	Limits *Limits

	line  int   // where the first line begins that has not been read; 0: all of them
	seen  int   // bytes from here on have not been looked at, and while all of them
	class uint8 // are of this class,
	full  int   // and are before this, they decide nothing
	count int   // of fields that were read
	empty int   // length of the empty line in front of the head: 0 or 2
	again bool  // an earlier call has seen a part of the head
	facts facts
}

// Reset forgets a head that was begun.
func (p *Parser) Reset() {
	p.line, p.seen, p.count, p.empty, p.again = 0, 0, 0, 0, false
	p.facts = facts{}
}

// Request reads a request's head into r, whose Fields keep their capacity. r is
// valid iff n > 0, and while buf is not changed.
func (p *Parser) Request(buf []byte, r *Request) (n int, err *Error) {
	if p.undecided(buf) {
		return 0, nil
	}
	n, err = p.request(buf, r)
	return p.left(n, err)
}

// Response reads the head of the response to a request with method to into r,
// as Request does. Interim responses (1xx) are responses of their own.
func (p *Parser) Response(buf []byte, to Method, r *Response) (n int, err *Error) {
	if p.undecided(buf) {
		return 0, nil
	}
	n, err = p.response(buf, to, r)
	n, err = p.left(n, err)
	return n, err.ForResponse()
}

// left leaves the parser as the next call wants it.
func (p *Parser) left(n int, err *Error) (int, *Error) {
	if n > 0 || err != nil {
		p.Reset()
	} else {
		p.again = true
	}
	return n, err
}

// undecided says whether buf has nothing since the last call that decides
// anything.
func (p *Parser) undecided(buf []byte) bool {
	if !p.again {
		return false
	}
	p.seen = skip(buf, p.seen, p.class)
	return p.seen >= len(buf) && len(buf) < p.full
}

// wait is called with all of buf looked at and a line that is not whole. If a
// line that ends beyond full is too long it says so.
func (p *Parser) wait(buf []byte, class uint8, full int, tooLong *Error) *Error {
	if len(buf) >= full {
		return tooLong
	}
	p.seen, p.class, p.full = len(buf), class, full
	return nil
}

// fields reads field lines and the empty line after them, and appends the
// fields to dst. n is the whole head's length, 0 if it is not there.
func (p *Parser) fields(buf []byte, dst []Field, of section) (_ []Field, n int, err *Error) {
	limits := orDefault(p.Limits)
	full := p.empty + limits.Head
	w := buf[:min(len(buf), full)]
	for {
		at := p.line
		if at+1 < len(w) && w[at] == '\r' && w[at+1] == '\n' {
			return dst, at + 2, nil
		}
		if p.count >= limits.Fields && at < len(w) && w[at] != '\r' {
			return dst, 0, ErrFields
		}
		if len(dst) == cap(dst) {
			dst = append(dst, Field{})
		} else {
			dst = dst[:len(dst)+1]
		}
		f := &dst[len(dst)-1]
		next, class, err := fieldLine(w, at, f)
		if next == 0 {
			if p.count >= limits.Fields {
				class = 0 // the next byte tells whether there is another field
			}
			if err == nil {
				err = p.wait(w, class, full, ErrHead)
			}
			return dst[:len(dst)-1], 0, err
		}
		if f.ID-1 < Expect {
			if err := p.facts.note(f, of); err != nil {
				return dst, 0, err
			}
		}
		p.line, p.count = next, p.count+1
	}
}
