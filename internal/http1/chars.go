package http1

import (
	"encoding/binary"
	"math/bits"
)

// Classes of characters, as a mask.
const (
	tchar    = 1 << iota // of a token, RFC 9110 5.6.2
	visible              // of a request target: VCHAR but '#'
	text                 // of a field value: HTAB, SP, VCHAR, obs-text (RFC 9110 5.5)
	regname              // unreserved or sub-delims of RFC 3986
	hexdigit             //
	question             // '?'
	percent              // '%'
)

var chars = classify()

func classify() (t [256]uint8) {
	mark := func(s string, class uint8) {
		for i := range len(s) {
			t[s[i]] |= class
		}
	}
	const digits, small, big = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	mark(digits+small+big, tchar|regname)
	mark("!#$%&'*+-.^_`|~", tchar)
	mark("-._~!$&'()*+,;=", regname)
	mark(digits+"abcdefABCDEF", hexdigit)
	mark("?", question)
	mark("%", percent)
	for c := 0x21; c < 0x7f; c++ {
		t[c] |= visible | text
	}
	t['#'] &^= visible
	mark(" \t", text)
	for c := 0x80; c < 0x100; c++ {
		t[c] |= text
	}
	return t
}

// skip returns the index of the first byte of b at or after i that is not of
// the class, len(b) if there is none.
func skip(b []byte, i int, class uint8) int {
	for i < len(b) && chars[b[i]]&class != 0 {
		i++
	}
	return i
}

const ones = 0x0101010101010101

// skipText is skip for text, eight bytes at a time.
func skipText(b []byte, i int) int {
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		// The high bit of each byte below 0x20 or equal to 0x7f. A borrow can
		// mark a wrong byte only above a right one, and the lowest counts.
		y := x ^ 0x7f*ones
		m := ((x-0x20*ones)&^x | (y-ones)&^y) & (0x80 * ones)
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if b[i] != '\t' {
			return i
		}
		i++
	}
	return skip(b, i, text)
}

func isDigit(c byte) bool { return c-'0' < 10 }

func isOWS(c byte) bool { return c == ' ' || c == '\t' }

// equalFold compares with a string of lower case letters, digits and '-'.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
