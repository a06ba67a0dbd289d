package ctl

import (
	"errors"
	"fmt"
	"net/http"
)

// Problem is an error of the API in the form of RFC 9457. It is an error on
// both sides: handlers return it, the Client's callers find it by errors.As.
type Problem struct {
	Type       string   `json:"type"` // always about:blank: Title and Status say enough
	Title      string   `json:"title"`
	Status     int      `json:"status"`
	Detail     string   `json:"detail"`
	DidYouMean []string `json:"did_you_mean,omitempty"`
	Errors     []string `json:"errors,omitempty"` // each fault of a refused configuration
}

// Error returns the detail, which is written to be read alone.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

func problem(status int, format string, args ...any) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// asProblem turns any error into what the API says of it. What is not a
// Problem already is the daemon's own failure.
func asProblem(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return problem(http.StatusInternalServerError, "%s", err)
}

// StatusCode returns the HTTP status of the Problem in err, 0 if there is none.
func StatusCode(err error) int {
	var p *Problem
	if errors.As(err, &p) {
		return p.Status
	}
	return 0
}
