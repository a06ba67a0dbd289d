package proxy

import "bytes"

// A service that has routes sees paths in one form, so that no other spelling of
// a path slips past a route: escapes of unreserved characters are decoded (RFC
// 3986, 6.2.2.2), dot segments removed (6.2.2.3), and runs of slashes made one.
// The backend gets that form, too: what was matched is what is asked for.
//
// What backends read in different ways has no such form and is refused: an
// escaped slash, backslash or NUL, a bare backslash, a dot segment with
// parameters ("..;x"), and one that leads out of the root.

// plain reports whether a path is in that form at a glance.
func plain(path []byte) bool {
	for i, c := range path {
		switch c {
		case '%', '\\':
			return false
		case '/', '.':
			if i > 0 && path[i-1] == '/' {
				return false
			}
		}
	}
	return true
}

// appendNormal appends the form of a path that begins with a slash, or reports
// that it has none.
func appendNormal(dst, path []byte) (out []byte, ok bool) {
	root := len(dst)
	dst = append(dst, '/')
	for rest, more := path[1:], true; more; {
		var segment []byte
		segment, rest, more = bytes.Cut(rest, []byte("/"))
		begin := len(dst)
		if dst, ok = appendSegment(dst, segment); !ok {
			return dst, false
		}
		switch name := dst[begin:]; {
		case len(name) == 0:
		case string(name) == ".":
			dst = dst[:begin]
		case string(name) == "..":
			if begin == root+1 {
				return dst, false
			}
			dst = dst[:bytes.LastIndexByte(dst[:begin-1], '/')+1]
		case dotted(name):
			return dst, false
		case more:
			dst = append(dst, '/')
		}
	}
	return dst, true
}

// appendSegment decodes what needs no escape.
func appendSegment(dst, segment []byte) (out []byte, ok bool) {
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '\\' {
			return dst, false
		}
		if c != '%' {
			dst = append(dst, c)
			continue
		}
		if i+2 >= len(segment) || !digit(segment[i+1]) || !digit(segment[i+2]) {
			return dst, false // the codec lets no such path in, but groups of one can be put together to this
		}
		switch c := nibble(segment[i+1])<<4 | nibble(segment[i+2]); {
		case c == '/' || c == '\\' || c == 0:
			return dst, false
		case unreserved(c):
			dst = append(dst, c)
		default:
			dst = append(dst, segment[i:i+3]...)
		}
		i += 2
	}
	return dst, true
}

// dotted reports whether a segment is one of dots to those who take parameters off.
func dotted(segment []byte) bool {
	name, _, parameters := bytes.Cut(segment, []byte(";"))
	return parameters && (string(name) == "." || string(name) == "..")
}

// digit reports whether c is a hexadecimal one.
func digit(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func nibble(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	default:
		return c&^0x20 - 'A' + 10
	}
}

func unreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
