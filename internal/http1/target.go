package http1

import "bytes"

// Form is the form of a request target (RFC 9112 3.2).
type Form uint8

// The forms.
const (
	Origin    Form = iota // /path?query
	Absolute              // http://authority/path?query, to a proxy
	Authority             // host:port, of CONNECT
	Asterisk              // *, of OPTIONS
)

func (f Form) String() string {
	return [...]string{"origin", "absolute", "authority", "asterisk"}[f]
}

// What Path is where absolute-form has none. Nobody writes into them.
var slash, asterisk = []byte("/"), []byte("*")

// target takes r.Target apart. has is the union of its characters' classes.
func (r *Request) target(has uint8) *Error {
	t := r.Target
	r.Host, r.Query = nil, nil
	switch {
	case r.Method == CONNECT:
		r.Form, r.Host, r.Path = Authority, t, nil
		if !validHost(t) || !hasPort(t) {
			return ErrAuthority
		}
		return nil
	case t[0] == '/':
		r.Form = Origin
	case len(t) == 1 && t[0] == '*' && r.Method == OPTIONS:
		r.Form, r.Path = Asterisk, t
		return nil
	default:
		r.Form = Absolute
		n := schemeLen(t)
		if n == 0 {
			return ErrForm
		}
		t = t[n:]
		end := bytes.IndexAny(t, "/?")
		if end < 0 {
			end = len(t)
		}
		if r.Host, t = t[:end:end], t[end:]; !validHost(r.Host) {
			return ErrAuthority
		}
	}
	return r.pathAndQuery(t, has)
}

func (r *Request) pathAndQuery(t []byte, has uint8) *Error {
	r.Path = t
	if has&question != 0 {
		if q := bytes.IndexByte(t, '?'); q >= 0 {
			r.Path, r.Query = t[:q:q], t[q+1:]
		}
	}
	if has&percent != 0 && !validEscapes(r.Path) {
		return ErrEscape
	}
	if len(r.Path) == 0 { // RFC 9112 3.2.4, RFC 9110 4.2.3
		r.Path = slash
		if r.Method == OPTIONS && r.Query == nil {
			r.Path = asterisk
		}
	}
	return nil
}

// schemeLen returns the length of "http://" or "https://", 0 if t begins with
// neither.
func schemeLen(t []byte) int {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(t) >= len(scheme) && equalFold(t[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}

// validEscapes says whether each '%' is followed by two hexadecimal digits.
func validEscapes(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if b[i] != '%' {
			continue
		}
		if i+2 >= len(b) || chars[b[i+1]]&chars[b[i+2]]&hexdigit == 0 {
			return false
		}
		i += 2
	}
	return true
}
