package l7

import (
	"fmt"
	"strings"
)

// A trick is a request that two readers may read differently, and what this
// proxy makes of it. Wherever a reader would find a second request by its own way
// of reading, that is one of /smuggled. Classes are named by who believes what: in
// CL.TE the first reader believes Content-Length and the second one
// Transfer-Encoding; 0 is one who believes in no body.
type trick struct {
	class, name, bytes string
	want               verdict
}

// A verdict is what must become of a trick.
type verdict struct {
	status  int    // the proxy's own answer, the last one of its connection; 0: one request goes on
	framing string // what the backend reads: "none", "length N", "chunked N"
	ends    bool   // passed on, and its answer is the connection's last
	waits   bool   // it is not whole: nothing is answered, and no backend gets a whole request
	host    string // that the backend reads, if it is not h
	lacks   string // fields, in lower case, that must not reach the backend
}

func (v verdict) String() string {
	switch {
	case v.status != 0:
		return fmt.Sprint("refused, ", v.status)
	case v.waits:
		return "not whole"
	}
	return "passed, " + v.framing
}

const (
	first    = "/front"    // the path of the request that is meant
	second   = "/smuggled" // that of the one that must not be seen
	hidden   = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	lastzero = "0\r\n\r\n"
)

func refused(status int) verdict { return verdict{status: status} }
func byLength(n int) verdict     { return verdict{framing: fmt.Sprint("length ", n)} }

func inChunks(n int) verdict                     { return verdict{framing: fmt.Sprint("chunked ", n)} }
func (v verdict) lacking(name ...string) verdict { v.lacks = strings.Join(name, " "); return v }
func (v verdict) at(host string) verdict         { v.host = host; return v }
func (v verdict) last() verdict                  { v.ends = true; return v }

var (
	unframed = verdict{framing: "none"}
	unwhole  = verdict{waits: true}
)

// with is a request of /front with these field lines and this body.
func with(method, fields, body string) string {
	return method + " /front HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + body
}

func lengthOf(s string) string { return fmt.Sprintf("Content-Length: %d\r\n", len(s)) }

// chunk is s as a chunked body.
func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(s), s) }

const chunked = "Transfer-Encoding: chunked\r\n"

// tricks are all of them.
func tricks() (all []trick) {
	for _, part := range [][]trick{lengthTricks(), codingTricks(), chunkTricks(), lineTricks(), hostTricks(), targetTricks(), connectionTricks(), bodyTricks()} {
		all = append(all, part...)
	}
	return all
}

// codingTricks are CL.TE, TE.CL and TE.TE: ways to write Transfer-Encoding that some
// take for chunked and others for nothing.
func codingTricks() (all []trick) {
	both := lastzero + hidden // ends early by chunks, late by length
	for _, c := range []struct {
		class, name, lines string
		status             int
	}{
		{"CL.TE", "Content-Length first", lengthOf(both) + chunked, 400},
		{"TE.CL", "Transfer-Encoding first", chunked + lengthOf(both), 400},
		{"CL.TE", "Content-Length of 0 first", "Content-Length: 0\r\n" + chunked, 400},
		{"TE.CL", "Content-Length between two codings", chunked + lengthOf(both) + chunked, 400},
		{"CL.TE", "upper case", lengthOf(both) + "TRANSFER-ENCODING: CHUNKED\r\n", 400},

		{"TE.TE", "twice the same", chunked + chunked, 400},
		{"TE.TE", "chunked, then identity in another field", chunked + "Transfer-Encoding: identity\r\n", 400},
		{"TE.TE", "identity in another field, then chunked", "Transfer-Encoding: identity\r\n" + chunked, 501},
		{"TE.TE", "another field with x", chunked + "Transfer-Encoding: x\r\n", 400},
		{"TE.TE", "another field that is empty", chunked + "Transfer-Encoding:\r\n", 400},
		{"TE.TE", "chunked, identity", "Transfer-Encoding: chunked, identity\r\n", 400},
		{"TE.TE", "identity, chunked", "Transfer-Encoding: identity, chunked\r\n", 501},
		{"TE.TE", "chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n", 400},
		{"TE.TE", "gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n", 501},
		{"TE.TE", "identity", "Transfer-Encoding: identity\r\n", 501},
		{"TE.TE", "empty", "Transfer-Encoding:\r\n", 400},
		{"TE.TE", "comma after it", "Transfer-Encoding: chunked,\r\n", 400},
		{"TE.TE", "comma before it", "Transfer-Encoding: ,chunked\r\n", 400},
		{"TE.TE", "two commas after it", "Transfer-Encoding: chunked,,\r\n", 400},
		{"TE.TE", "comma and space after it", "Transfer-Encoding: chunked, \r\n", 400},
		{"TE.TE", "semicolon after it", "Transfer-Encoding: chunked;\r\n", 400},
		{"TE.TE", "with a parameter", "Transfer-Encoding: chunked;q=1\r\n", 400},
		{"TE.TE", "in quotes", "Transfer-Encoding: \"chunked\"\r\n", 400},
		{"TE.TE", "in single quotes", "Transfer-Encoding: 'chunked'\r\n", 501},
		{"TE.TE", "xchunked", "Transfer-Encoding: xchunked\r\n", 501},
		{"TE.TE", "chunkedx", "Transfer-Encoding: chunkedx\r\n", 501},
		{"TE.TE", "chunk", "Transfer-Encoding: chunk\r\n", 501},
		{"TE.TE", "x chunked", "Transfer-Encoding: x chunked\r\n", 501},
		{"TE.TE", "chunked x", "Transfer-Encoding: chunked x\r\n", 400},
		{"TE.TE", "backslash in it", "Transfer-Encoding: chu\\nked\r\n", 400},
		{"TE.TE", "brackets", "Transfer-Encoding: [chunked]\r\n", 400},
		{"TE.TE", "escaped", "Transfer-Encoding: %63hunked\r\n", 501},
		{"TE.TE", "vertical tab before it", "Transfer-Encoding: \x0bchunked\r\n", 400},
		{"TE.TE", "vertical tab after it", "Transfer-Encoding: chunked\x0b\r\n", 400},
		{"TE.TE", "form feed before it", "Transfer-Encoding: \x0cchunked\r\n", 400},
		{"TE.TE", "NUL after it", "Transfer-Encoding: chunked\x00\r\n", 400},
		{"TE.TE", "NUL before it", "Transfer-Encoding: \x00chunked\r\n", 400},
		{"TE.TE", "DEL after it", "Transfer-Encoding: chunked\x7f\r\n", 400},
		{"TE.TE", "high byte before it", "Transfer-Encoding: \xffchunked\r\n", 400},
		{"TE.TE", "no-break space after it", "Transfer-Encoding: chunked\xa0\r\n", 400},
		{"TE.TE", "Kelvin sign", "Transfer-Encoding: chun\xe2\x84\xaaed\r\n", 400},
		{"TE.TE", "bare CR before it", "Transfer-Encoding:\rchunked\r\n", 400},
		{"TE.TE", "bare LF before it", "Transfer-Encoding:\n chunked\r\n", 400},
		{"TE.TE", "folded", "Transfer-Encoding:\r\n chunked\r\n", 400},
		{"TE.TE", "folded with a tab", "Transfer-Encoding:\r\n\tchunked\r\n", 400},
		{"TE.TE", "folded after it", "Transfer-Encoding: chunked\r\n , identity\r\n", 400},
		{"TE.TE", "folded into another field", "X: y\r\n Transfer-Encoding: chunked\r\n", 400},
		{"TE.TE", "space before the colon", "Transfer-Encoding : chunked\r\n", 400},
		{"TE.TE", "tab before the colon", "Transfer-Encoding\t: chunked\r\n", 400},
		{"TE.TE", "vertical tab before the colon", "Transfer-Encoding\x0b: chunked\r\n", 400},
		{"TE.TE", "NUL before the colon", "Transfer-Encoding\x00: chunked\r\n", 400},
		{"TE.TE", "CR before the colon", "Transfer-Encoding\r: chunked\r\n", 400},
		{"TE.TE", "no-break space before the colon", "Transfer-Encoding\xa0: chunked\r\n", 400},
		{"TE.TE", "space before the name", " Transfer-Encoding: chunked\r\n", 400},
		{"TE.TE", "byte order mark before the name", "\xef\xbb\xbfTransfer-Encoding: chunked\r\n", 400},
		{"TE.TE", "after a bare LF", "X: y\nTransfer-Encoding: chunked\r\n", 400},
		{"TE.TE", "after a bare CR", "X: y\rTransfer-Encoding: chunked\r\n", 400},
		{"TE.TE", "after LF and CR", "X: y\n\rTransfer-Encoding: chunked\r\n", 400},
		{"TE.TE", "no colon", "Transfer-Encoding chunked\r\n", 400},
		{"TE.TE", "equals sign", "Transfer-Encoding=chunked\r\n", 400},
		{"TE.TE", "two colons", "Transfer-Encoding:: chunked\r\n", 400},
		{"TE.TE", "underscore", "Transfer_Encoding: chunked\r\n", 400},
		{"TE.TE", "underscore, upper case", "TRANSFER_ENCODING: chunked\r\n", 400},
		{"TE.TE", "HTTP/1.0's way of writing", "Transfer-Encoding: Chunked, x\r\n", 400},
	} {
		lines := c.lines
		if c.class == "TE.TE" {
			lines = lengthOf(both) + lines
		}
		all = append(all, trick{c.class, c.name, with("POST", lines, both), refused(c.status)})
	}
	return append(all,
		trick{"TE.TE", "upper case alone", with("POST", "TRANSFER-ENCODING: CHUNKED\r\n", chunk("abc")), inChunks(3)},
		trick{"TE.TE", "tabs around it", with("POST", "Transfer-Encoding:\tchunked\t\r\n", chunk("abc")), inChunks(3)},
		trick{"TE.TE", "no space before it", with("POST", "Transfer-Encoding:chunked\r\n", chunk("abc")), inChunks(3)},
		trick{"TE.TE", "many spaces around it", with("POST", "Transfer-Encoding:     chunked     \r\n", chunk("abc")), inChunks(3)},
		trick{"TE.TE", "another name", with("POST", "X-Transfer-Encoding: chunked\r\n"+lengthOf(both), both), byLength(len(both))},
		trick{"TE.TE", "in HTTP/1.0", "POST /front HTTP/1.0\r\nHost: h\r\n" + chunked + "\r\n" + both, refused(400)},
		trick{"TE.TE", "in HTTP/1.0 with Content-Length", "POST /front HTTP/1.0\r\nHost: h\r\n" + chunked + lengthOf(both) + "\r\n" + both, refused(400)},
		trick{"TE.TE", "in HTTP/1.0 that keeps alive", "POST /front HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n" + chunked + "\r\n" + both, refused(400)},
	)
}

// lengthTricks are CL.CL and ways to write a number that some read otherwise.
func lengthTricks() (all []trick) {
	for _, c := range []struct{ name, lines string }{
		{"two", lengthOf(hidden) + "Content-Length: 0\r\n"},
		{"two, the other way round", "Content-Length: 0\r\n" + lengthOf(hidden)},
		{"two of the same", lengthOf(hidden) + lengthOf(hidden)},
		{"two in other cases", lengthOf(hidden) + "content-length: 0\r\n"},
		{"list", fmt.Sprintf("Content-Length: 0, %d\r\n", len(hidden))},
		{"list of the same", fmt.Sprintf("Content-Length: %d, %[1]d\r\n", len(hidden))},
		{"comma after it", fmt.Sprintf("Content-Length: %d,\r\n", len(hidden))},
		{"comma before it", fmt.Sprintf("Content-Length: ,%d\r\n", len(hidden))},
		{"plus", fmt.Sprintf("Content-Length: +%d\r\n", len(hidden))},
		{"minus", "Content-Length: -1\r\n"},
		{"minus nought", "Content-Length: -0\r\n"},
		{"hexadecimal", "Content-Length: 0x24\r\n"},
		{"octal", "Content-Length: 0o44\r\n"},
		{"exponent", "Content-Length: 3e1\r\n"},
		{"point", "Content-Length: 36.0\r\n"},
		{"space inside", "Content-Length: 3 6\r\n"},
		{"underscore inside", "Content-Length: 3_6\r\n"},
		{"letter after it", "Content-Length: 36a\r\n"},
		{"semicolon after it", "Content-Length: 36;0\r\n"},
		{"in quotes", "Content-Length: \"36\"\r\n"},
		{"empty", "Content-Length:\r\n"},
		{"empty, then one", "Content-Length: \r\n" + lengthOf(hidden)},
		{"NUL after it", "Content-Length: 36\x00\r\n"},
		{"vertical tab before it", "Content-Length: \x0b36\r\n"},
		{"bare CR after it", "Content-Length: 36\r \r\n"},
		{"no-break space before it", "Content-Length: \xa036\r\n"},
		{"Arabic digits", "Content-Length: \xd9\xa3\xd9\xa6\r\n"},
		{"2^63", "Content-Length: 9223372036854775808\r\n"},
		{"2^64", "Content-Length: 18446744073709551616\r\n"},
		{"2^64 and the length", fmt.Sprintf("Content-Length: 184467440737095516%d\r\n", 16+len(hidden))},
		{"2^32 in hexadecimal", "Content-Length: 100000000h\r\n"},
		{"folded", "Content-Length:\r\n 36\r\n"},
		{"folded after a digit", "Content-Length: 3\r\n 6\r\n"},
		{"space before the colon", "Content-Length : 36\r\n"},
		{"tab before the colon", "Content-Length\t: 36\r\n"},
		{"underscore", "Content_Length: 36\r\n"},
		{"underscore and the right one", "Content_Length: 0\r\n" + lengthOf(hidden)},
		{"after a bare CR", "X: y\rContent-Length: 36\r\n"},
		{"after a bare LF", "X: y\nContent-Length: 36\r\n"},
		{"NUL in the name", "Content-\x00Length: 36\r\n"},
		{"quoted name", "\"Content-Length\": 36\r\n"},
	} {
		all = append(all, trick{"CL.CL", c.name, with("POST", c.lines, hidden), refused(400)})
	}
	return append(all,
		trick{"CL.CL", "leading noughts", with("POST", fmt.Sprintf("Content-Length: 000%d\r\n", len(hidden)), hidden), byLength(len(hidden))},
		trick{"CL.CL", "spaces and tabs around it", with("POST", fmt.Sprintf("Content-Length: \t %d \t\r\n", len(hidden)), hidden), byLength(len(hidden))},
		trick{"CL.CL", "just below 2^63", with("POST", "Content-Length: 9223372036854775000\r\n", hidden), unwhole},
		trick{"CL.CL", "longer than what comes", with("POST", fmt.Sprintf("Content-Length: %d\r\n", len(hidden)+1), hidden), unwhole},
	)
}

// chunkTricks are bodies that some take for longer or shorter.
func chunkTricks() (all []trick) {
	for _, c := range []struct {
		name, body string
		want       verdict
	}{
		{"0x before the size", "0x3\r\nabc\r\n" + lastzero, refused(400)},
		{"plus", "+3\r\nabc\r\n" + lastzero, refused(400)},
		{"minus", "-3\r\nabc\r\n" + lastzero, refused(400)},
		{"space before the size", " 3\r\nabc\r\n" + lastzero, refused(400)},
		{"space after the size", "3 \r\nabc\r\n" + lastzero, refused(400)},
		{"tab after the size", "3\t\r\nabc\r\n" + lastzero, refused(400)},
		{"no size", "\r\nabc\r\n" + lastzero, refused(400)},
		{"no number", "g\r\nabc\r\n" + lastzero, refused(400)},
		{"h after the size", "3h\r\nabc\r\n" + lastzero, refused(400)},
		{"underscore in the size", "0_3\r\nabc\r\n" + lastzero, refused(400)},
		{"NUL after the size", "3\x00\r\nabc\r\n" + lastzero, refused(400)},
		{"2^64 and the size", "10000000000000003\r\nabc\r\n" + lastzero, refused(400)},
		{"2^63", "8000000000000000\r\nabc\r\n" + lastzero, refused(400)},
		{"2^64 - 1", "ffffffffffffffff\r\nabc\r\n" + lastzero, refused(400)},
		{"2^32 and the size", "100000003\r\nabc\r\n" + lastzero + hidden, unwhole},
		{"seventeen noughts", "00000000000000003\r\nabc\r\n" + lastzero, refused(400)},
		{"leading noughts", "0000000000000003\r\nabc\r\n" + lastzero, inChunks(3)},
		{"several noughts at the end", "3\r\nabc\r\n000\r\n\r\n", inChunks(3)},
		{"upper case", "A\r\nabcdefghij\r\n" + lastzero, inChunks(10)},
		{"bare LF after the size", "3\nabc\r\n" + lastzero, refused(400)},
		{"bare CR after the size", "3\rabc\r\n" + lastzero, refused(400)},
		{"two CRs after the size", "3\r\r\nabc\r\n" + lastzero, refused(400)},
		{"no CRLF after the data", "3\r\nabc" + lastzero, refused(400)},
		{"more data than the size", "3\r\nabcd\r\n" + lastzero, refused(400)},
		{"less data than the size", "5\r\nabc\r\n0\r\n\r\n" + hidden, refused(400)},
		{"bare LF after the data", "3\r\nabc\n" + lastzero, refused(400)},
		{"bare CR after the data", "3\r\nabc\r" + lastzero, refused(400)},
		{"two letters for CRLF after the data", "3\r\nabcXX" + lastzero, refused(400)},
		{"bare LF after the last size", "3\r\nabc\r\n0\n\n" + hidden, refused(400)},
		{"bare LF as the last line", "3\r\nabc\r\n0\r\n\n" + hidden, refused(400)},
		{"bare CR as the last line", "3\r\nabc\r\n0\r\n\r" + hidden, refused(400)},
		{"no last line", "3\r\nabc\r\n0\r\n" + hidden, refused(400)},
		{"minus nought at the end", "3\r\nabc\r\n-0\r\n\r\n" + hidden, refused(400)},
		{"extension", "3;a=b\r\nabc\r\n0;c=\"d;e\\\"\"\r\n\r\n", inChunks(3)},
		{"extension without a name", "3;\r\nabc\r\n" + lastzero, refused(400)},
		{"extension without a value", "3;a=\r\nabc\r\n" + lastzero, refused(400)},
		{"bare LF in an extension", "3;a\nabc\r\n" + lastzero, refused(400)},
		{"bare CR in an extension", "3;a\rb\r\nabc\r\n" + lastzero, refused(400)},
		{"CRLF in a quoted extension", "3;a=\"\r\nabc\r\n0\r\n\r\n" + hidden + "\"\r\n", refused(400)},
		{"bare LF in a quoted extension", "3;a=\"\nabc\"\r\nabc\r\n" + lastzero, refused(400)},
		{"NUL in an extension", "3;a\x00\r\nabc\r\n" + lastzero, refused(400)},
		{"long extension", "3;" + strings.Repeat("a", 300) + "\r\nabc\r\n" + lastzero, refused(400)},
		{"comma for a semicolon", "3,a=b\r\nabc\r\n" + lastzero, refused(400)},

		{"Content-Length in trailers", "3\r\nabc\r\n0\r\nContent-Length: 36\r\n\r\n" + hidden, refused(400)},
		{"Transfer-Encoding in trailers", "3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden, refused(400)},
		{"Content_Length in trailers", "3\r\nabc\r\n0\r\nContent_Length: 36\r\n\r\n" + hidden, refused(400)},
		{"Host in trailers", "3\r\nabc\r\n0\r\nHost: evil\r\n\r\n", refused(400)},
		{"Connection in trailers", "3\r\nabc\r\n0\r\nConnection: close\r\n\r\n", refused(400)},
		{"Expect in trailers", "3\r\nabc\r\n0\r\nExpect: 100-continue\r\n\r\n", refused(400)},
		{"Upgrade in trailers", "3\r\nabc\r\n0\r\nUpgrade: h2c\r\n\r\n", refused(400)},
		{"folded trailer", "3\r\nabc\r\n0\r\nX: y\r\n Content-Length: 36\r\n\r\n", refused(400)},
		{"space before a trailer's colon", "3\r\nabc\r\n0\r\nContent-Length : 36\r\n\r\n", refused(400)},
		{"bare LF in trailers", "3\r\nabc\r\n0\r\nX: y\nContent-Length: 36\r\n\r\n", refused(400)},
		{"bare CR in trailers", "3\r\nabc\r\n0\r\nX: y\rContent-Length: 36\r\n\r\n", refused(400)},
		{"a request as a trailer", "3\r\nabc\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", refused(400)},
		{"a request as a trailer's value", "3\r\nabc\r\n0\r\nX: GET /smuggled HTTP/1.1\r\n\r\n", inChunks(3)},
		{"Authorization in trailers", "3\r\nabc\r\n0\r\nAuthorization: x\r\nX-Sum: 1\r\n\r\n", inChunks(3)},
		{"large trailers", "3\r\nabc\r\n0\r\nX: " + strings.Repeat("a", 70<<10) + "\r\n\r\n", refused(431)},
		{"a request as data", chunk(hidden), inChunks(len(hidden))},
		{"the end as data", chunk(lastzero + hidden), inChunks(len(lastzero + hidden))},
		{"no end", "3\r\nabc\r\n", unwhole},
		{"no end of the trailers", "3\r\nabc\r\n0\r\nX: y\r\n", unwhole},
	} {
		all = append(all, trick{"chunks", c.name, with("POST", chunked, c.body), c.want})
	}
	return all
}
