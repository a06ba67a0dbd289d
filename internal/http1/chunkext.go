package http1

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
