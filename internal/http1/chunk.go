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
