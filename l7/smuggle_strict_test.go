package l7

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A reading is what the independent reader below, which shares nothing with
// internal/http1, makes of a message that the proxy has sent.
type reading struct {
	first   string // request or status line
	fields  []string
	framing string // "none", "length N", "chunked N": N bytes of payload
	body    string
}

// get returns the values of a field; name is in lower case.
func (r *reading) get(name string) (values []string) {
	for _, f := range r.fields {
		if k, v, _ := strings.Cut(f, ": "); strings.ToLower(k) == name {
			values = append(values, v)
		}
	}
	return values
}

func (r *reading) target() string { return strings.Split(r.first, " ")[1] }

var (
	errPartial    = errors.New("message is not whole")
	requestShape  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\\.1$")
	responseShape = regexp.MustCompile(`^HTTP/1\.1 [1-5][0-9][0-9] [^\x00-\x08\x0a-\x1f\x7f]*$`)
	fieldShape    = regexp.MustCompile("^[!#$%&'*+.^`|~0-9A-Za-z_-]+: ([^\\x00-\\x20\\x7f]([^\\x00-\\x08\\x0a-\\x1f\\x7f]*[^\\x00-\\x20\\x7f])?)?$")
	lengthShape   = regexp.MustCompile("^(0|[1-9][0-9]{0,18})$")
	chunkShape    = regexp.MustCompile("^[0-9a-f]{1,16}$")
	// What a reader that is kind to odd names might take for framing.
	framingLike = regexp.MustCompile(`(?i)^(content[^a-z]?length|transfer[^a-z]?encoding)$`)
)

// readStrictly takes one message off b, as a recipient would that accepts nothing
// but the one spelling of each thing that a careful sender uses.
func readStrictly(b string, shape *regexp.Regexp, bodiless bool) (r *reading, rest string, err error) {
	head, rest, ok := strings.Cut(b, "\r\n\r\n")
	if !ok {
		return nil, b, errPartial
	}
	lines := strings.Split(head, "\r\n")
	r = &reading{first: lines[0], fields: lines[1:], framing: "none"}
	if !shape.MatchString(r.first) {
		return nil, b, fmt.Errorf("first line %q", r.first)
	}
	for _, f := range r.fields {
		name, _, _ := strings.Cut(f, ":")
		lower := strings.ToLower(name)
		if !fieldShape.MatchString(f) || framingLike.MatchString(name) && lower != "content-length" && lower != "transfer-encoding" {
			return nil, b, fmt.Errorf("field line %q", f)
		}
	}
	lengths, codings := r.get("content-length"), r.get("transfer-encoding")
	switch {
	case len(lengths)+len(codings) > 1, len(codings) == 1 && codings[0] != "chunked", len(lengths) == 1 && !lengthShape.MatchString(lengths[0]):
		return nil, b, fmt.Errorf("framing %q %q", lengths, codings)
	case shape == requestShape && len(r.get("host")) != 1:
		return nil, b, fmt.Errorf("hosts %q", r.get("host"))
	case bodiless:
	case len(lengths) == 1:
		n, _ := strconv.Atoi(lengths[0])
		if len(rest) < n {
			return nil, b, errPartial
		}
		r.framing, r.body, rest = "length "+lengths[0], rest[:n], rest[n:]
	case len(codings) == 1:
		if r.body, rest, err = readChunks(rest); err != nil {
			return nil, b, err
		}
		r.framing = fmt.Sprint("chunked ", len(r.body))
	}
	return r, rest, nil
}

func readChunks(b string) (body, rest string, err error) {
	for {
		size, after, ok := strings.Cut(b, "\r\n")
		if !ok {
			return "", b, errPartial
		}
		if !chunkShape.MatchString(size) {
			return "", b, fmt.Errorf("chunk size %q", size)
		}
		n, err := strconv.ParseInt(size, 16, 63)
		switch {
		case err != nil:
			return "", b, err
		case n == 0:
			rest, err := skipTrailers(after)
			return body, rest, err
		case int64(len(after)) < n+2:
			return "", b, errPartial
		case after[n:n+2] != "\r\n":
			return "", b, fmt.Errorf("after a chunk %q", after[n:n+2])
		}
		body, b = body+after[:n], after[n+2:]
	}
}

func skipTrailers(b string) (rest string, err error) {
	for {
		line, after, ok := strings.Cut(b, "\r\n")
		switch {
		case !ok:
			return b, errPartial
		case line == "":
			return after, nil
		case !fieldShape.MatchString(line) || regexp.MustCompile(`(?i)^(content.length|transfer.encoding|host|connection|expect|upgrade):`).MatchString(line):
			return b, fmt.Errorf("trailer %q", line)
		}
		b = after
	}
}
