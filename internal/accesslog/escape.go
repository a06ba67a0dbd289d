package accesslog

import (
	"unicode/utf8"
	"unsafe"
)

const (
	lowerHex = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)

// style is how what a client sent is written so that it ends neither a quoted
// field nor the line.
type style uint8

const (
	// nginx writes \xHH for ", \ and whatever is no printable ASCII, as its log_format
	// does with escape=default.
	nginx style = iota
	// apache writes \" and \\, C's letters for white space and \xhh for what else is no
	// printable ASCII, as httpd's ap_escape_logitem does.
	apache
)

func (s style) append(dst, text []byte) []byte {
	for len(text) > 0 {
		n := plain(text)
		dst, text = append(dst, text[:n]...), text[n:]
		if len(text) == 0 {
			break
		}
		c := text[0]
		text = text[1:]
		switch {
		case s == nginx:
			dst = append(dst, '\\', 'x', upperHex[c>>4], upperHex[c&15])
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= '\b' && c <= '\r' && c != '\f':
			dst = append(dst, '\\', "btnv?r"[c-'\b'])
		default:
			dst = append(dst, '\\', 'x', lowerHex[c>>4], lowerHex[c&15])
		}
	}
	return dst
}

// plain is how many bytes at the beginning need no escape in any style.
func plain(text []byte) int {
	for i, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return i
		}
	}
	return len(text)
}

// bytesOf is a string as bytes, to be read only.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// quoted appends a JSON string. What is no UTF-8 becomes U+FFFD.
func quoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		n := plain(text)
		dst, text = append(dst, text[:n]...), text[n:]
		if len(text) == 0 {
			break
		}
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n <= 1:
			dst = append(dst, "\ufffd"...)
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ' || r == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', lowerHex[r>>4], lowerHex[r&15])
		case r == '\u0085' || r == '\u2028' || r == '\u2029': // new lines to some readers
			dst = append(dst, '\\', 'u', lowerHex[r>>12], lowerHex[r>>8&15], lowerHex[r>>4&15], lowerHex[r&15])
		default:
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return append(dst, '"')
}
