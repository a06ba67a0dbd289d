package http1

import "encoding/binary"

// "HTTP/1.1", as loaded in one go.
var http11 = binary.LittleEndian.Uint64([]byte("HTTP/1.1"))

// requestLine reads method SP target SP version CRLF (RFC 9112 3), and one
// empty line in front of it (2.2). It returns where the next line begins, 0 if the
// line is not there whole.
func (p *Parser) requestLine(buf []byte, r *Request) (int, *Error) {
	if len(buf) > 0 && buf[0] == '\r' {
		if len(buf) == 1 {
			return 0, p.wait(buf, 0, 2, nil)
		}
		if buf[1] == '\n' {
			p.empty = 2
		}
	}
	limits := orDefault(p.Limits)
	full := p.empty + min(limits.Line+2, limits.Head)
	w := buf[:min(len(buf), full)]

	i, err := p.method(w, full, r)
	if i == 0 || err != nil {
		return 0, err
	}

	begin, has := i+1, uint8(0)
	for i++; i < len(w); i++ {
		class := chars[w[i]]
		if class&visible == 0 {
			break
		}
		has |= class
	}
	r.Target = w[begin:i:i]
	switch {
	case i == len(w):
		return 0, p.wait(w, visible, full, ErrLine)
	case w[i] != ' ' || i == begin:
		return 0, ErrTarget
	}

	rest := w[i+1:]
	if len(rest) >= 10 && binary.LittleEndian.Uint64(rest) == http11 && rest[8] == '\r' && rest[9] == '\n' {
		r.Minor = 1
	} else if whole, err := version(rest, "HTTP/d.d\r\n"); err != nil {
		return 0, err
	} else if !whole {
		return 0, p.wait(w, 0, full, ErrLine)
	} else {
		r.Minor = min(rest[7]-'0', 1)
	}
	return i + 11, r.target(has)
}

// method reads the method from w, which has no more than the line may have, and
// returns where the space after it is, 0 if it is not there.
func (p *Parser) method(w []byte, full int, r *Request) (int, *Error) {
	i := skip(w, p.empty, tchar)
	r.MethodName = w[p.empty:i:i]
	switch {
	case len(r.MethodName) > maxMethod:
		return 0, ErrMethodLong
	case i == full:
		return 0, ErrLine
	case i == len(w):
		return 0, p.wait(w, tchar, min(full, p.empty+maxMethod+1), nil)
	case w[i] != ' ' || i == p.empty:
		return 0, ErrMethod
	}
	r.Method = LookupMethod(r.MethodName)
	return i, nil
}

// version compares b with a pattern in which d is a digit, and tells whether
// all of it is there. Something else than HTTP/1 is another fault than what is
// no version at all.
func version(b []byte, pattern string) (whole bool, err *Error) {
	for i, c := range b[:min(len(b), len(pattern))] {
		switch {
		case pattern[i] == 'd' && isDigit(c), pattern[i] == c && c != 'd':
		case i >= 8 && pattern[8] == ' ':
			return false, ErrStatusLine
		case pattern[i] == '\n':
			return false, ErrBareCR
		case c == '\n':
			return false, ErrBareLF
		default:
			return false, ErrVersion
		}
		if i == 7 && b[5] != '1' {
			return false, ErrVersionElse
		}
	}
	return len(b) >= len(pattern), nil
}
