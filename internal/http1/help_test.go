package http1

import (
	"fmt"
	"testing"
)

// result is what became of a head.
type result struct {
	n    int
	err  *Error
	read string // all that was read, if n > 0
}

// inPieces gives parse the prefixes of head that end at cuts, then all of it, until there
// is a result. Each is in another buffer, whose predecessor is overwritten, as
// a connection's buffer may be that grows. No buffer has a byte to spare, so that one that
// is read beyond the end panics.
func inPieces(head string, cuts []int, parse func([]byte) (int, *Error), read func() string) (r result) {
	var last []byte
	for i := range len(cuts) + 1 {
		end := len(head)
		if i < len(cuts) {
			end = cuts[i]
		}
		buf := make([]byte, end)
		copy(buf, head)
		for j := range last {
			last[j] = '!'
		}
		last = buf
		if r.n, r.err = parse(buf); r.n > 0 || r.err != nil {
			break
		}
	}
	if r.n > 0 {
		r.read = read()
	}
	return r
}

func parseRequest(l *Limits, head string, cuts ...int) result {
	p, r := Parser{Limits: l}, Request{}
	return inPieces(head, cuts,
		func(buf []byte) (int, *Error) { return p.Request(buf, &r) },
		func() string { return fmt.Sprintf("%q", []any{r}) })
}

func parseResponse(l *Limits, to Method, head string, cuts ...int) result {
	p, r := Parser{Limits: l}, Response{}
	return inPieces(head, cuts,
		func(buf []byte) (int, *Error) { return p.Response(buf, to, &r) },
		func() string { return fmt.Sprintf("%q", []any{r}) })
}

// checkCuts compares a head parsed whole with the same head parsed byte by byte and cut
// in two at every place.
func checkCuts(t *testing.T, head string, parse func(cuts ...int) result) {
	t.Helper()
	whole := parse()
	bytewise := make([]int, len(head))
	for i := range bytewise {
		bytewise[i] = i
	}
	if got := parse(bytewise...); got != whole {
		t.Errorf("%q byte by byte:\n%+v\nwhole:\n%+v", head, got, whole)
	}
	for at := range head {
		if got := parse(at); got != whole {
			t.Errorf("%q cut at %d:\n%+v\nwhole:\n%+v", head, at, got, whole)
			return
		}
	}
}
