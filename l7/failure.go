package l7

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
)

// failure is why a backend gave no answer, and what the client is told.
type failure struct {
	status int
	reason string
	retry  bool // another backend may be tried
	gone   bool // the client is
}

func (f *failure) write(w http.ResponseWriter) {
	http.Error(w, http.StatusText(f.status)+": "+f.reason, f.status)
}

// judge says what a failed round trip means. Another backend may be tried if the
// connection could not be made, since then nothing was sent; or if it died
// before the response head was whole and the request may be repeated: its method
// is idempotent (RFC 9110, section 9.2.2) and it has no body.
func (m *member) judge(out *http.Request, resp *http.Response, err error) *failure {
	if err == nil {
		resp.Body.Close()
		reason := " gave no valid answer"
		if resp.StatusCode == http.StatusSwitchingProtocols {
			reason = " switched protocols unasked"
		}
		return &failure{status: http.StatusBadGateway, reason: "backend " + m.Name + reason}
	}
	if out.Context().Err() != nil {
		return &failure{gone: true}
	}
	var dial *dialError
	if errors.As(err, &dial) {
		if isTimeout(err) {
			return &failure{status: http.StatusGatewayTimeout, reason: "connect to backend " + m.Name + ": timed out", retry: true}
		}
		return &failure{status: http.StatusBadGateway, reason: "connect to backend " + m.Name + ": " + cause(err).Error(), retry: true}
	}
	if body, ok := out.Body.(*requestBody); ok && body.failed.Load() {
		return &failure{status: http.StatusBadRequest, reason: "the request's body broke off or is malformed"}
	}
	switch { // dead first: ETIMEDOUT says Timeout as well
	case isDead(err):
		return &failure{status: http.StatusBadGateway, reason: "the connection to backend " + m.Name + " ended before it answered", retry: repeatable(out)}
	case isTimeout(err):
		return &failure{status: http.StatusGatewayTimeout, reason: "backend " + m.Name + " did not answer in time"}
	}
	return &failure{status: http.StatusBadGateway, reason: "backend " + m.Name + " gave no valid answer"}
}

func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return r.Body == nil
	}
	return false
}

// isTimeout excludes the request's own context, which has no deadline here.
func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout() && !errors.Is(err, context.Canceled)
}

// isDead reports whether the connection ended, be it by the backend or, because
// the backend was disabled, by us.
func isDead(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT, net.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	// net/http does not export errServerClosedIdle.
	return strings.Contains(err.Error(), "server closed idle connection")
}

// cause returns the errno inside err, whose words need no address around them.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return sys.Err
	}
	return err
}
