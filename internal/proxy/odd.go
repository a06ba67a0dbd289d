package proxy

import (
	"bytes"
	"strings"

	"lbctl/internal/http1"
)

// bodyIsOdd reports whether a body with this method means nothing (RFC 9110, sections
// 9.3.1, 9.3.2, 9.3.5 and 9.3.7), so that a backend may not look for one. It would
// read the body as the next request; so there must be none: the request asks the
// backend to close, and its connection is not kept.
func bodyIsOdd(m http1.Method) bool {
	switch m {
	case http1.GET, http1.HEAD, http1.DELETE, http1.OPTIONS:
		return true
	}
	return false
}

// imitates reports whether a field has the name of one that says who asked, but
// for underscores in place of hyphens. Who hands fields on as variables (RFC 3875,
// section 4.1.18) cannot tell it from ours.
func imitates(f *http1.Field) bool {
	if f.ID != http1.NameOther || len(f.Name) < len("X-Forwarded-For") || len(f.Name) > len("X-Forwarded-Proto") || bytes.IndexByte(f.Name, '_') < 0 {
		return false
	}
	switch strings.ToLower(strings.ReplaceAll(string(f.Name), "_", "-")) {
	case "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto":
		return true
	}
	return false
}
