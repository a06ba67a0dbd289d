package http1

import (
	"strconv"
	"time"
)

type bytesOrString interface{ []byte | string }

// AppendStatusLine appends a status line with the standard phrase. It is always
// one of HTTP/1.1: a server tells what it can do, also if the client is an older
// one (RFC 9110 6.2). The status must have three digits.
func AppendStatusLine(dst []byte, status int) []byte {
	return AppendStatusLineReason(dst, status, ReasonPhrase(status))
}

// AppendStatusLineReason is AppendStatusLine with a phrase, which must be valid
// as a field value, or empty.
func AppendStatusLineReason[R bytesOrString](dst []byte, status int, reason R) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = append(dst, byte('0'+status/100%10), byte('0'+status/10%10), byte('0'+status%10), ' ')
	dst = append(dst, reason...)
	return append(dst, "\r\n"...)
}

// AppendField appends a field line. What does not come from a Parser must be a
// token and text (RFC 9110 5.5) without whitespace around it.
func AppendField[N, V bytesOrString](dst []byte, name N, value V) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendFieldUint appends a field line with a number, such as Content-Length.
func AppendFieldUint[N bytesOrString](dst []byte, name N, value uint64) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = strconv.AppendUint(dst, value, 10)
	return append(dst, "\r\n"...)
}

// AppendUint appends a number in decimal.
func AppendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

// AppendHex appends a number in hexadecimal.
func AppendHex(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 16) }

// MaxChunkHead is the most that AppendChunkHead appends.
const MaxChunkHead = 16 + 2

// AppendChunkHead appends what precedes the data of a chunk; CRLF must follow
// it. size must not be 0, for that would end the body.
func AppendChunkHead(dst []byte, size uint64) []byte {
	return append(AppendHex(dst, size), "\r\n"...)
}

// AppendLastChunk appends the end of a chunked body.
func AppendLastChunk(dst []byte, trailers []Field) []byte {
	dst = append(dst, "0\r\n"...)
	for i := range trailers {
		dst = AppendField(dst, trailers[i].Name, trailers[i].Value)
	}
	return append(dst, "\r\n"...)
}

// AppendDate appends a time as Date has it (RFC 9110 5.6.7). It takes about
// 100 ns, so a server keeps the result for a second.
func AppendDate(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, "Mon, 02 Jan 2006 15:04:05 GMT")
}
