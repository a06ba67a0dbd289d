package http1

// Limits bound what a head may be. All three must be positive.
type Limits struct {
	Line   int // request or status line without CRLF, bytes; beyond: 414
	Head   int // whole head or trailer section with the empty line that ends it, bytes; beyond: 431
	Fields int // field lines of a head or trailer section; beyond: 431
}

// DefaultLimits bound the heads of a Parser or Body that has no Limits.
var DefaultLimits = Limits{Line: 8192, Head: 65536, Fields: 256}

func orDefault(l *Limits) *Limits {
	if l == nil {
		return &DefaultLimits
	}
	return l
}
