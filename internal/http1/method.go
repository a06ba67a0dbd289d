package http1

// Method is a request method that has a meaning to somebody who forwards.
type Method uint8

// The methods of RFC 9110 9.3 and PATCH (RFC 5789).
const (
	Other Method = iota
	GET
	HEAD
	POST
	PUT
	DELETE
	CONNECT
	OPTIONS
	TRACE
	PATCH
)

var methods = [...]string{"", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// maxMethod is beyond the longest registered method, UPDATEREDIRECTREF.
const maxMethod = 32

// String returns the method as on the line, "" for Other.
func (m Method) String() string { return methods[m] }

// Idempotent says whether a request may be sent again without being asked
// (RFC 9110 9.2.2). Of an unknown method one cannot know.
func (m Method) Idempotent() bool {
	switch m {
	case GET, HEAD, PUT, DELETE, OPTIONS, TRACE:
		return true
	}
	return false
}

// LookupMethod knows methods by name, which is case-sensitive.
func LookupMethod(name []byte) Method {
	switch string(name) {
	case "GET":
		return GET
	case "HEAD":
		return HEAD
	case "POST":
		return POST
	case "PUT":
		return PUT
	case "DELETE":
		return DELETE
	case "CONNECT":
		return CONNECT
	case "OPTIONS":
		return OPTIONS
	case "TRACE":
		return TRACE
	case "PATCH":
		return PATCH
	}
	return Other
}
