package traffic

import (
	"bytes"
)

// request is a request head. Its slices point into the head they were parsed from.
type request struct {
	method, target []byte // target: path and query, also of an absolute-form request
	fields         []byte // the field lines, with the empty one
	minor          byte   // of HTTP/1.minor
	continues      bool   // "Expect: 100-continue"
	framing
}

// parseRequest reads a head that ends in an empty line.
func parseRequest(head []byte) (request, error) {
	r := request{framing: framing{length: -1}}
	line, fields, err := cutLine(head)
	if err != nil {
		return r, err
	}
	r.fields = fields
	if err := r.parseLine(line); err != nil {
		return r, err
	}
	hosts := 0
	err = eachField(fields, func(name, value []byte) error {
		switch {
		case is(name, "Host"):
			hosts++
		case is(name, "Expect"):
			r.continues = is(value, "100-continue") && r.minor == 1
		}
		return r.field(name, value)
	})
	switch {
	case err != nil:
		return r, err
	case hosts > 1 || hosts == 0 && r.minor == 1:
		return r, malformed("%d Host fields", hosts)
	}
	return r, r.check(r.minor)
}

func (r *request) parseLine(line []byte) error {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 || !isToken(method) || len(version) != 8 || string(version[:7]) != "HTTP/1." {
		return malformed("request line %.60q", line)
	}
	if r.minor = version[7] - '0'; r.minor > 1 {
		return malformed("version %q", version)
	}
	if r.method, r.target = method, originForm(target); r.target == nil {
		return malformed("target %.60q", target)
	}
	for _, c := range target {
		if c <= ' ' || c >= 0x7f {
			return malformed("target %.60q", target)
		}
	}
	return nil
}

// originForm returns path and query of a target in origin-form or absolute-form,
// RFC 9112, 3.2, nil for any other.
func originForm(target []byte) []byte {
	if len(target) > 0 && target[0] == '/' {
		return target
	}
	if len(target) < 8 || !is(target[:7], "http://") {
		return nil
	}
	i := bytes.IndexByte(target[7:], '/')
	switch {
	case i > 0:
		return target[7+i:]
	case i < 0:
		return []byte("/")
	}
	return nil
}

// path returns the target without its query.
func (r *request) path() []byte {
	path, _, _ := bytes.Cut(r.target, []byte("?"))
	return path
}
