package http1

import "math"

// Framing says how a body ends (RFC 9112 6.3).
type Framing uint8

// The framings. A message that says "Content-Length: 0" is ByLength.
const (
	NoBody Framing = iota
	ByLength
	Chunked
	UntilClose // responses only
)

func (f Framing) String() string {
	return [...]string{"no body", "by length", "chunked", "until close"}[f]
}

// contentLength reads RFC 9110 8.6. A repeated field or a list is an error, also
// if all values are the same: the RFC lets one choose, and smugglers rely on those
// who choose differently. Lengths are below 2^63, the last eight left out.
func (k *facts) contentLength(value []byte) *Error {
	if k.is&hasLength != 0 {
		return ErrLengths
	}
	n := uint64(0)
	for _, c := range value {
		if !isDigit(c) || n > (math.MaxInt64-9)/10 {
			return ErrLength
		}
		n = n*10 + uint64(c-'0')
	}
	if len(value) == 0 {
		return ErrLength
	}
	k.is |= hasLength
	k.length = n
	return nil
}

// transferEncoding reads RFC 9112 6.1: one field, one coding, chunked. What might
// be read as chunked by somebody else is malformed, other codings are unknown.
func (k *facts) transferEncoding(value []byte) *Error {
	if k.is&hasChunked != 0 {
		return ErrCoding
	}
	if equalFold(value, "chunked") {
		k.is |= hasChunked
		return nil
	}
	if len(value) == 0 || value[len(value)-1] == ',' {
		return ErrCoding
	}
	for list := value; len(list) > 0; {
		var coding []byte
		coding, list = NextElement(list)
		name := coding[:skip(coding, 0, tchar)]
		rest := coding[len(name):]
		switch {
		case len(name) == 0, len(rest) > 0 && rest[0] != ';' && !isOWS(rest[0]):
			return ErrCoding // no token
		case equalFold(name, "chunked") && (len(list) > 0 || len(rest) > 0):
			return ErrCoding // not last, or with a parameter
		}
	}
	return ErrCodingElse
}

// framing returns the framing that the fields of a message of HTTP/1.minor
// ask for, NoBody if they say nothing.
func (k *facts) framing(minor uint8) (Framing, uint64, *Error) {
	switch {
	case k.is&(hasChunked|hasLength) == 0:
		return NoBody, 0, nil
	case k.is&hasChunked == 0:
		return ByLength, k.length, nil
	case k.is&hasLength != 0:
		return NoBody, 0, ErrLengthForm
	case minor == 0:
		return NoBody, 0, ErrCodingOld
	}
	return Chunked, 0, nil
}
