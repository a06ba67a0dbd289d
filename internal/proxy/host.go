package proxy

import (
	"bytes"
	"strings"
)

// hostMatch is a name, or with any all names below it.
type hostMatch struct {
	name []byte // of any with the dot in front
	any  bool
}

func newHostMatch(typed string) hostMatch {
	if below, any := strings.CutPrefix(typed, "*"); any {
		return hostMatch{[]byte(below), true}
	}
	return hostMatch{[]byte(typed), false}
}

// matches takes a bare host.
func (m *hostMatch) matches(host []byte) bool {
	if !m.any {
		return bytes.EqualFold(host, m.name)
	}
	n := len(host) - len(m.name)
	return n > 0 && bytes.EqualFold(host[n:], m.name)
}

// bareHost is a host without port, and without the dot that ends a name.
func bareHost(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	return bytes.TrimSuffix(host, []byte("."))
}
