package http1

import "math"

// state says what a body expects next.
type state uint8

const (
	data state = iota
	ended
	dataCR
	dataLF
	trailer
	size
	sizeLF
	// the states of extensions, see extStep
	extSpace // before ';'
	extBegin // after ';'
	extName
	extNameSpace // before '='
	extValueBegin
	extValue
	extQuoted
	extEscaped
	extUnquoted // after the closing quote
)

// chunked is Next for chunked bodies (RFC 9112 7.1).
func (b *Body) chunked(buf []byte) (payload []byte, used int, done bool, err *Error) {
	for used < len(buf) {
		switch b.state {
		case data:
			payload = b.take(buf[used:])
			if b.left == 0 {
				b.state = dataCR
			}
			return payload, used + len(payload), false, nil
		case trailer:
			var n int
			n, err = b.trailer(buf[used:])
			used += n
		default:
			err = b.step(buf[used])
			used++
		}
		if err != nil {
			b.err = err
			return nil, used, false, err
		}
		if b.state == ended {
			return nil, used, true, nil
		}
	}
	return nil, used, false, nil
}

// step takes a byte that is neither data nor of a trailer section.
func (b *Body) step(c byte) *Error {
	switch b.state {
	case dataCR:
		if c != '\r' {
			return ErrChunkEnd
		}
		b.state = dataLF
	case dataLF:
		if c != '\n' {
			return ErrChunkEnd
		}
		b.state, b.digits, b.ext = size, 0, 0
	case size:
		return b.sizeStep(c)
	case sizeLF:
		if c != '\n' {
			return ErrBareCR
		}
		b.state = data
		if b.left == 0 {
			b.state = trailer
		}
	default:
		return b.extension(c)
	}
	return nil
}

// sizeStep takes a byte of a chunk's size or the one after it.
func (b *Body) sizeStep(c byte) *Error {
	if chars[c]&hexdigit != 0 {
		if b.digits++; b.digits > 16 || b.left > math.MaxInt64>>4 {
			return ErrChunkSize
		}
		v := c - '0'
		if v > 9 {
			v = (c | 0x20) - 'a' + 10
		}
		b.left = b.left<<4 | uint64(v)
		return nil
	}
	switch {
	case b.digits == 0:
		return ErrChunkSize
	case c == '\r':
		b.state = sizeLF
	case c == ';' || isOWS(c):
		b.state = extSpace
		return b.extension(c)
	case c == '\n':
		return ErrBareLF
	default:
		return ErrChunkSize
	}
	return nil
}

// Extensions are read and forgotten. These many bytes are enough for those that
// mean well; a body of one-byte chunks with extensions could keep a reader busy for
// nothing.
const (
	maxExt  = 256       // a chunk
	maxExts = 16 * 1024 // a body
)

func (b *Body) extension(c byte) *Error {
	b.ext++
	b.exts++
	if b.ext > maxExt+1 || b.exts > maxExts { // the CR counts
		return ErrChunkExts
	}
	next := extStep(b.state, c)
	if next == ended {
		return ErrChunkExt
	}
	b.state = next
	return nil
}

// extStep is the grammar of RFC 9112 7.1.1,
//
//	*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
//
// up to the CR after it. It returns ended where there is no way to go on.
func extStep(s state, c byte) state {
	token, space := chars[c]&tchar != 0, isOWS(c)
	switch s {
	case extQuoted, extEscaped:
		switch {
		case chars[c]&text == 0:
			return ended
		case s == extQuoted && c == '"':
			return extUnquoted
		case s == extQuoted && c == '\\':
			return extEscaped
		}
		return extQuoted
	case extBegin, extValueBegin:
		switch {
		case space:
			return s
		case token && s == extBegin:
			return extName
		case token:
			return extValue
		case c == '"' && s == extValueBegin:
			return extQuoted
		}
		return ended
	}
	return extAfter(s, c, token, space)
}

// extAfter is extStep within and after names and values, where an extension may
// end.
func extAfter(s state, c byte, token, space bool) state {
	named := s == extName || s == extNameSpace
	switch {
	case c == ';':
		return extBegin
	case c == '\r' && s != extSpace && s != extNameSpace:
		return sizeLF
	case c == '=' && named:
		return extValueBegin
	case space && named:
		return extNameSpace
	case space:
		return extSpace
	case token && (s == extName || s == extValue):
		return s
	}
	return ended
}
