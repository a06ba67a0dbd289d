package proxy

import (
	"strings"
	"testing"

	"lbctl/internal/lb"
)

// What no client may say in a header, it may not say in a trailer section, either:
// backends may merge the two (RFC 9110, section 6.5.1).
func TestTrailersObeyTheRulesOfHeaders(t *testing.T) {
	th := newTheatre(t, 1, func(v *lb.Service) {
		v.Routes = []lb.Route{{
			Path:     lb.PathMatch{Kind: lb.PathPrefix, Value: "/"},
			Request:  lb.HeaderEdits{Remove: []string{"X-Secret"}},
			Response: lb.HeaderEdits{Remove: []string{"X-Internal"}},
		}}
	})
	c := th.accept()
	c.says("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"+
		"X_Forwarded_For: 6.6.6.6\r\nX-Request-ID: mine\r\nX-Secret: s\r\nX-Sum: 1\r\n\r\n", 0)
	b := th.connected()
	if got := bodyOf(b.took()); !strings.HasSuffix(got, "0\r\nX-Sum: 1\r\n\r\n") {
		t.Errorf("the backend got %q", got)
	}
	b.says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Internal: i\r\nX-Sum: 2\r\n\r\n", 0)
	if got := bodyOf(c.took()); !strings.HasSuffix(got, "0\r\nX-Sum: 2\r\n\r\n") {
		t.Errorf("the client got %q", got)
	}
}
