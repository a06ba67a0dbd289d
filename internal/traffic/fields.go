package traffic

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// The HTTP/1 grammar that server and generator share: header fields and body
// framing, strictly by RFC 9112. What is not exactly right is refused, never repaired.

// errSyntax is wrapped by every complaint about a message that is no valid HTTP/1.
var errSyntax = errors.New("malformed HTTP")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errSyntax, fmt.Sprintf(format, args...))
}

// framing says how a message's body is delimited and what becomes of the
// connection after it.
type framing struct {
	length    int64 // of the body; -1: no Content-Length
	chunked   bool
	close     bool // "Connection: close"
	keepAlive bool // "Connection: keep-alive"
}

// field takes notice of one header field.
func (f *framing) field(name, value []byte) error {
	switch {
	case is(name, "Content-Length"):
		if f.length >= 0 {
			return malformed("two Content-Length fields")
		}
		n, err := parseLength(value)
		if err != nil {
			return err
		}
		f.length = n
	case is(name, "Transfer-Encoding"):
		if f.chunked || !is(value, "chunked") {
			return malformed("Transfer-Encoding %q", value)
		}
		f.chunked = true
	case is(name, "Connection"):
		for option := range bytes.SplitSeq(value, []byte(",")) {
			option = bytes.Trim(option, " \t")
			f.close = f.close || is(option, "close")
			f.keepAlive = f.keepAlive || is(option, "keep-alive")
		}
	}
	return nil
}

// check refuses a message with both framings, which two readers could delimit
// differently (RFC 9112, 6.3), and chunks in a version that has none.
func (f *framing) check(minor byte) error {
	if f.chunked && (f.length >= 0 || minor == 0) {
		return malformed("Transfer-Encoding with Content-Length or in HTTP/1.0")
	}
	return nil
}

// persists reports whether the sender is ready for another message.
func (f *framing) persists(minor byte) bool {
	return !f.close && (minor == 1 || f.keepAlive)
}

func parseLength(b []byte) (int64, error) {
	if len(b) == 0 || len(b) > 18 {
		return 0, malformed("Content-Length %q", b)
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, malformed("Content-Length %q", b)
		}
		n = n*10 + int64(c-'0')
	}
	return n, nil
}

// cutLine splits the first line off b. Its end must be CRLF.
func cutLine(b []byte) (line, rest []byte, err error) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, nil, malformed("a line does not end in CRLF")
	}
	return b[:i-1], b[i+1:], nil
}

// eachField calls f for every field of the lines up to and including the empty one.
func eachField(lines []byte, f func(name, value []byte) error) error {
	for {
		line, rest, err := cutLine(lines)
		if err != nil || len(line) == 0 {
			return err
		}
		lines = rest
		name, value, err := parseField(line)
		if err != nil {
			return err
		}
		if err := f(name, value); err != nil {
			return err
		}
	}
}

func parseField(line []byte) (name, value []byte, err error) {
	i := bytes.IndexByte(line, ':')
	if i < 0 || !isToken(line[:i]) {
		return nil, nil, malformed("header field %.40q", line)
	}
	value = bytes.Trim(line[i+1:], " \t")
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, malformed("control character in header field %q", line[:i])
		}
	}
	return line[:i], value, nil
}

// is compares ASCII case-insensitively.
func is(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range b {
		c, w := b[i], word[i]
		if c != w && (c|0x20 != w|0x20 || c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// tokenChar marks the characters of a token, RFC 9110, 5.6.2.
var tokenChar = func() (t [256]bool) {
	for c := '0'; c <= 'z'; c++ {
		t[c] = c <= '9' || c >= 'a' || c >= 'A' && c <= 'Z'
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenChar[c] {
			return false
		}
	}
	return len(b) > 0
}

// parseChunkSize reads the line before a chunk: hex digits, then perhaps
// extensions, which mean nothing to us.
func parseChunkSize(line []byte) (int64, error) {
	digits, extension, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 || len(digits) > 15 {
		return 0, malformed("chunk size %.20q", line)
	}
	for _, c := range digits {
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f') {
			return 0, malformed("chunk size %.20q", line)
		}
	}
	for _, c := range extension {
		if c < ' ' && c != '\t' || c == 0x7f {
			return 0, malformed("chunk extension %.20q", line)
		}
	}
	return strconv.ParseInt(string(digits), 16, 64)
}
