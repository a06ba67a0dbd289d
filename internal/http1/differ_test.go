package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// net/http is a second opinion. What it refuses and we accept, what it accepts and we
// refuse, and what both accept but read differently, must have an explanation here;
// about framing, host and method there is none.

// stricter says, for each reason for which we refuse what net/http accepts, what a message
// then looks like.
var stricter = map[*Error]*regexp.Regexp{
	ErrBareLF:     regexp.MustCompile(`(?s)(^|[^\r])\n`),
	ErrBareCR:     regexp.MustCompile(`(?s)\r([^\n]|$)`),
	ErrFold:       regexp.MustCompile(`\n[ \t]`),                 // net/http joins the lines
	ErrNameSpace:  regexp.MustCompile(`\n[^:\r\n]*[ \t][^\n]*:`), // it leaves names to http.Server
	ErrMethodLong: regexp.MustCompile(`^[^ ]{33}`),
	ErrValue:      regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f]`),       // it checks some only where a server does
	ErrTarget:     regexp.MustCompile(`^(\r\n)?\S+ [^ \r\n]*[^!-"$-~]`), // '#' and bytes above 0x7e
	ErrForm:       regexp.MustCompile(`^(\r\n)?\S+ ([^/h]|h)`),          // it takes other schemes, and '*' for any method
	ErrAuthority:  regexp.MustCompile(`^(\r\n)?(CONNECT|\S+ (?i:https?)://)`),
	ErrEscape:     regexp.MustCompile(`^\S+ \S*%`),

	ErrNoHost:         regexp.MustCompile(`HTTP/1\.[1-9]\r\n`), // it leaves Host to http.Server
	ErrHost:           regexp.MustCompile(`(?i)\nhost:`),
	ErrLength:         regexp.MustCompile(`(?i)\ncontent-length:`),
	ErrLengths:        regexp.MustCompile(`(?is)\ncontent-length:.*\ncontent-length:`), // of one value
	ErrLengthForm:     regexp.MustCompile(`(?i)\n(content-length|transfer-encoding):`),
	ErrCodingOld:      regexp.MustCompile(`HTTP/1\.0[ \r]`),
	ErrCoding:         regexp.MustCompile(`HTTP/1\.0[ \r]`), // it reads none in HTTP/1.0
	ErrCodingElse:     regexp.MustCompile(`HTTP/1\.0[ \r]`),
	ErrStatusLine:     regexp.MustCompile(`^HTTP/1\.\d( |\d{0,2}\D)`), // a space more
	ErrUnframed:       regexp.MustCompile(`^(\r\n)?(CONNECT|TRACE|HTTP/1\.\d (1\d\d|204))`),
	ErrUnderscore:     regexp.MustCompile(`(?i)\n(content_length|transfer_encoding):`),
	ErrConnection:     regexp.MustCompile(`(?i)\nconnection:`),
	ErrConnectionName: regexp.MustCompile(`(?i)\nconnection:.*(host|content-length)`),
	ErrExpect:         regexp.MustCompile(`(?i)\nexpect:`),
	ErrStatus:         regexp.MustCompile(`^HTTP/1\.\d (0|[6-9]|\d\d\d[^\r ])`),
	ErrVersion:        regexp.MustCompile(`^\S+ \S* `), // a space more
	ErrVersionElse:    regexp.MustCompile(`HTTP/[02-9]\.\d`),
}

// explainStricter says whether we may refuse for this reason what net/http
// accepts.
func explainStricter(head string, err *Error) bool {
	for reason, looks := range stricter {
		if err == reason || err == reason.twin {
			return looks.MatchString(head)
		}
	}
	return false
}

// lax has what net/http says of what we accept.
var lax = []struct{ says, looks string }{
	{"malformed HTTP request", `^\r\n`},                      // the one empty line in front
	{"invalid URL escape", `^(\r\n)?\S+ \S*%`},               // in an authority it allows few
	{"invalid host", `\[`},                                   //
	{"invalid character", `^(\r\n)?\S+ \S*//`},               // in an authority
	{"bad trailer key", `(?i)\ntrailer:`},                    // we do not read Trailer
	{"invalid empty Content-Length", `(?i)\ncontent-length`}, //
}

func explainLax(head string, err error) bool {
	for _, l := range lax {
		if strings.Contains(err.Error(), l.says) && regexp.MustCompile(l.looks).MatchString(head) {
			return true
		}
	}
	return false
}

func compareRequest(t *testing.T, head string) {
	var p Parser
	var r Request
	n, ours := p.Request([]byte(head), &r)
	in := bufio.NewReaderSize(strings.NewReader(head), max(16, len(head)))
	theirs, err := http.ReadRequest(in)
	switch {
	case n > 0 && err != nil:
		if !explainLax(head, err) {
			t.Errorf("%q: net/http says %v", head, err)
		}
		return
	case n == 0 && err == nil:
		if ours == nil || !explainStricter(head, ours) {
			t.Errorf("%q: net/http accepts it, we say %v", head, ours)
		}
		return
	case n == 0:
		return
	}
	host := theirs.Host
	if strings.Contains(string(r.Host), "%") { // it decodes
		host = string(r.Host)
	}
	if theirs.Method != string(r.MethodName) || theirs.RequestURI != string(r.Target) || host != string(r.Host) || min(theirs.ProtoMinor, 1) != int(r.Minor) {
		t.Errorf("%q: net/http reads %s %s of %s 1.%d, we %+v", head, theirs.Method, theirs.RequestURI, theirs.Host, theirs.ProtoMinor, r)
	}
	if theirs.Close == r.KeepAlive {
		t.Errorf("%q: close %v, keep alive %v", head, theirs.Close, r.KeepAlive)
	}
	if left := in.Buffered(); left != len(head)-n {
		t.Errorf("%q: net/http leaves %d bytes, we %d", head, left, len(head)-n)
	}
	sameFraming(t, head, r.Body, r.Length, theirs.ContentLength, theirs.TransferEncoding)
	sameFields(t, head, r.Fields, theirs.Header)
}

func sameFraming(t *testing.T, head string, f Framing, length uint64, theirLength int64, codings []string) {
	t.Helper()
	same := false
	switch f {
	case NoBody:
		same = theirLength == 0 && codings == nil
	case ByLength:
		same = theirLength == int64(length) && codings == nil
	case Chunked:
		same = theirLength == -1 && slices.Equal(codings, []string{"chunked"})
	case UntilClose:
		same = theirLength == -1 && codings == nil
	}
	if !same {
		t.Errorf("%q: %s %d, in net/http %d %q", head, f, length, theirLength, codings)
	}
}

// sameFields compares all fields but those that net/http takes out of its Header.
func sameFields(t *testing.T, head string, fields []Field, theirs http.Header) {
	t.Helper()
	ours := http.Header{}
	for _, f := range fields {
		switch f.ID {
		case Host, TransferEncoding, Trailer, ContentLength, Connection:
		default:
			key := textproto.CanonicalMIMEHeaderKey(string(f.Name))
			ours[key] = append(ours[key], string(f.Value))
		}
	}
	for _, taken := range []string{"Host", "Transfer-Encoding", "Trailer", "Content-Length", "Connection"} {
		theirs.Del(taken)
	}
	if len(ours["Cache-Control"]) == 0 && len(ours["Pragma"]) > 0 { // net/http makes one from "Pragma: no-cache"
		theirs.Del("Cache-Control")
	}
	for key, values := range ours {
		if !slices.Equal(values, theirs[key]) {
			t.Errorf("%q: %s is %q, in net/http %q", head, key, values, theirs[key])
		}
	}
	if len(ours) != len(theirs) {
		t.Errorf("%q: %q, in net/http %q", head, ours, theirs)
	}
}

func compareResponse(t *testing.T, to Method, head string) {
	var p Parser
	var r Response
	n, ours := p.Response([]byte(head), to, &r)
	in := bufio.NewReaderSize(strings.NewReader(head), max(16, len(head)))
	theirs, err := http.ReadResponse(in, &http.Request{Method: to.String()})
	switch {
	case n > 0 && err != nil:
		if !explainLax(head, err) {
			t.Errorf("%q: net/http says %v", head, err)
		}
		return
	case n == 0 && err == nil:
		if ours == nil || !explainStricter(head, ours) {
			t.Errorf("%q: net/http accepts it, we say %v", head, ours)
		}
		return
	case n == 0:
		return
	}
	if theirs.StatusCode != r.Status || min(theirs.ProtoMinor, 1) != int(r.Minor) {
		t.Errorf("%q: net/http reads %d 1.%d, we %+v", head, theirs.StatusCode, theirs.ProtoMinor, r)
	}
	if left := in.Buffered(); left != len(head)-n {
		t.Errorf("%q: net/http leaves %d bytes, we %d", head, left, len(head)-n)
	}
	if r.Body == NoBody { // it tells what the body would have been
		if body, _ := io.ReadAll(theirs.Body); len(body) > 0 {
			t.Errorf("%q: no body, in net/http %q", head, body)
		}
	} else {
		sameFraming(t, head, r.Body, r.Length, theirs.ContentLength, theirs.TransferEncoding)
	}
	if r.KeepAlive && theirs.Close {
		t.Errorf("%q: kept alive, but not in net/http", head)
	}
	sameFields(t, head, r.Fields, theirs.Header)
}

// laxChunks has the reasons for which we refuse chunks that net/http reads.
var laxChunks = []*Error{
	ErrBareLF,                                                                           // it takes LF for CRLF
	ErrChunkExt,                                                                         // it does not read extensions
	ErrChunkExts,                                                                        // and counts them differently
	ErrChunkSize,                                                                        // it takes whitespace after the size for none
	ErrBareCR, ErrFold, ErrName, ErrNameSpace, ErrValue, ErrTrailer, ErrFields, ErrHead, // it stops before the trailers
}

// net/http knows no whitespace before a chunk extension, which RFC 9112 7.1.1 allows.
var spaceBeforeExt = regexp.MustCompile(`[0-9a-fA-F][ \t]+;`)

func compareChunks(t *testing.T, wire string) {
	var b Body
	got := takeBody(&b, Chunked, 0, wire)
	payload, err := io.ReadAll(httputil.NewChunkedReader(bufio.NewReader(strings.NewReader(wire))))
	switch {
	case got.done && err != nil && !spaceBeforeExt.MatchString(wire):
		t.Errorf("%q: %+v, net/http says %v", wire, got, err)
	case got.done && err == nil && !bytes.Equal(payload, []byte(got.payload)):
		t.Errorf("%q: %q, in net/http %q", wire, got.payload, payload)
	case got.err != nil && err == nil && !slices.Contains(laxChunks, got.err):
		t.Errorf("%q: %v, in net/http %q", wire, got.err, payload)
	}
}
