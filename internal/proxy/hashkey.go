package proxy

import (
	"bytes"

	"lbctl/internal/balance"
	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// hashKey is the hash of the part of a request that a service's policy looks at.
// Requests that lack it are all alike.
func hashKey(r *http1.Request, of lb.HashKey) uint64 {
	switch of.Source {
	case lb.HashHeader:
		return balance.HashBytes(fieldNamed(r, of.Name))
	case lb.HashCookie:
		return balance.HashBytes(cookieNamed(r, of.Name))
	case lb.HashQuery:
		if of.Name != "" {
			return balance.HashBytes(parameterNamed(r.Query, of.Name))
		}
		return balance.HashBytes(r.Query)
	}
	return balance.HashBytes(r.Path)
}

// fieldNamed is the value of the first field of that name, nil if there is none.
func fieldNamed(r *http1.Request, name string) []byte {
	for i := range r.Fields {
		if f := &r.Fields[i]; len(f.Name) == len(name) && bytes.EqualFold(f.Name, []byte(name)) {
			return f.Value
		}
	}
	return nil
}

// cookieNamed is the value of the first cookie of that name (RFC 6265, section 4.2.1).
func cookieNamed(r *http1.Request, name string) []byte {
	for i := range r.Fields {
		f := &r.Fields[i]
		if f.ID != http1.Cookie {
			continue
		}
		for rest := f.Value; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte(";"))
			if key, value, _ := bytes.Cut(bytes.TrimLeft(pair, " \t"), []byte("=")); string(key) == name {
				return value
			}
		}
	}
	return nil
}

// parameterNamed is the value of the first parameter of that name, as it was sent.
func parameterNamed(query []byte, name string) []byte {
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte("&"))
		if key, value, _ := bytes.Cut(pair, []byte("=")); string(key) == name {
			return value
		}
	}
	return nil
}
