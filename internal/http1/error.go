package http1

import "fmt"

// An Error says why a message is not HTTP/1. There is one value for each
// reason, made at start, so pointers can be compared and none is allocated.
type Error struct {
	Status int    // what a server answers before it closes; 502 for a response
	Reason string // lower case, for logs
	twin   *Error // the same reason in a response
}

func (e *Error) Error() string { return fmt.Sprintf("http1: %s (%d)", e.Reason, e.Status) }

// ForResponse returns the same reason with the status that a gateway answers,
// 502. A Body does not know whose it is, and its errors are those of requests.
func (e *Error) ForResponse() *Error {
	if e == nil || e.twin == nil {
		return e
	}
	return e.twin
}

func fault(status int, reason string) *Error {
	return &Error{Status: status, Reason: reason, twin: &Error{Status: 502, Reason: reason}}
}

// The reasons, in the order of a message.
var (
	ErrMethod      = fault(400, "method is not a token followed by a space")
	ErrMethodLong  = fault(501, "method longer than any known")
	ErrTarget      = fault(400, "request target empty or with a forbidden character")
	ErrForm        = fault(400, "request target's form does not suit the method")
	ErrEscape      = fault(400, "broken percent-encoding in the path")
	ErrAuthority   = fault(400, "authority of the request target is not host and port")
	ErrVersion     = fault(400, "version is not HTTP/x.y")
	ErrVersionElse = fault(505, "version is not HTTP/1.x")
	ErrLine        = fault(414, "first line too long")
	ErrStatusLine  = fault(502, "no status after the version")
	ErrStatus      = fault(502, "status is not a number from 100 to 599")

	ErrBareLF    = fault(400, "LF without CR")
	ErrBareCR    = fault(400, "CR without LF")
	ErrFold      = fault(400, "line begins with whitespace")
	ErrName      = fault(400, "field name is not a token")
	ErrNameSpace = fault(400, "whitespace before the colon")
	ErrValue     = fault(400, "control character in a field value")
	ErrHead      = fault(431, "head too large")
	ErrFields    = fault(431, "too many fields")

	ErrNoHost         = fault(400, "no Host")
	ErrHosts          = fault(400, "several Host fields")
	ErrHost           = fault(400, "Host is not host and port")
	ErrLength         = fault(400, "Content-Length is not one number")
	ErrLengths        = fault(400, "several Content-Length fields")
	ErrUnderscore     = fault(400, "field that some take for Content-Length or Transfer-Encoding")
	ErrLengthForm     = fault(400, "Content-Length with Transfer-Encoding")
	ErrCoding         = fault(400, "Transfer-Encoding is not one chunked")
	ErrCodingElse     = fault(501, "unknown transfer coding")
	ErrCodingOld      = fault(400, "Transfer-Encoding in HTTP/1.0")
	ErrConnection     = fault(400, "Connection has what is not a token, or too many options")
	ErrConnectionName = fault(400, "Connection names a field of framing or routing")
	ErrExpect         = fault(417, "unknown expectation")
	ErrUnframed       = fault(400, "framing fields in a message without a body")

	ErrChunkSize = fault(400, "chunk size is not 1 to 16 hexadecimal digits below 2^63")
	ErrChunkExt  = fault(400, "malformed chunk extension")
	ErrChunkExts = fault(400, "chunk extensions too long")
	ErrChunkEnd  = fault(400, "no CRLF after a chunk")
	ErrTrailer   = fault(400, "forbidden field in trailers")
	ErrTruncated = fault(400, "closed within a body")
)
