package traffic

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// maxBody bounds what one request can make a server send.
const maxBody = 1 << 30

// answer is a response to be written.
type answer struct {
	status  int
	kind    string         // Content-Type
	body    []byte         // or
	filler  int64          // so many bytes of filler
	allow   string         // Allow
	client  netip.AddrPort // X-Client-TOA, if valid
	head    bool           // leave the body out
	close   bool
	persist bool // say that the connection stays, as a client of HTTP/1.0 must be told
}

// answer reads the request's body, appends its response and reports whether the
// connection stays.
func (c *conn) answer(r *request) (persists bool, err error) {
	persists = r.persists(r.minor) && !c.srv.closing.Load()
	if string(r.target) == "/" && string(r.method) == "GET" && r.minor == 1 && r.length <= 0 && !r.chunked {
		return persists, c.answerRoot(persists)
	}
	// The request points into the buffer that its body is read through.
	route := route{srv: c.srv, method: string(r.method), path: string(r.path())}
	a := route.answer(c, r)
	if r.continues && (r.length > 0 || r.chunked) {
		c.out = append(c.out, "HTTP/1.1 100 Continue\r\n\r\n"...)
	}
	sum := sha256.New()
	sink := func(b []byte) { sum.Write(b) }
	if route.path != "/sum" {
		sink = nil
	}
	a.head, a.close, a.persist = route.method == "HEAD", !persists, persists && r.minor == 0
	if err := c.in.body(r.framing, sink); err != nil {
		return false, err
	}
	if route.path == "/sum" && a.status == 200 {
		a.body = append(hex.AppendEncode(nil, sum.Sum(nil)), '\n')
	}
	if !route.wait(c) {
		return false, nil
	}
	return persists, c.respond(a)
}

// route finds the answer to a path.
type route struct {
	srv          *Server
	method, path string
	delay        time.Duration
}

func (r *route) answer(c *conn, req *request) answer {
	ok := answer{status: 200, kind: "text/plain", body: []byte("ok\n")}
	if r.path == "/sum" {
		if r.method != "POST" && r.method != "PUT" {
			return answer{status: 405, allow: "POST, PUT"}
		}
		return ok
	}
	if r.method != "GET" && r.method != "HEAD" && r.method != "POST" {
		return answer{status: 405, allow: "GET, HEAD, POST"}
	}
	word, arg, _ := strings.Cut(r.path[1:], "/")
	switch word {
	case "":
		if r.path == "/" {
			return answer{status: 200, kind: "text/plain", filler: r.srv.body}
		}
	case "healthz":
		return ok
	case "echo":
		return answer{status: 200, kind: "application/json", body: echo(c, r, req), client: c.told()}
	case "bytes":
		if n, err := strconv.ParseInt(arg, 10, 64); err == nil && n >= 0 && n <= maxBody {
			return answer{status: 200, kind: "application/octet-stream", filler: n}
		}
	case "status":
		if n, err := strconv.Atoi(arg); err == nil && n >= 200 && n <= 599 {
			return answer{status: n, kind: "text/plain", body: []byte(strconv.Itoa(n) + "\n")}
		}
	case "slow":
		if d, err := time.ParseDuration(arg); err == nil && d >= 0 && d <= time.Minute {
			r.delay = d
			return ok
		}
	}
	return answer{status: 404, kind: "text/plain", body: []byte("no such path\n")}
}

// wait reports whether the server still wants to answer after the delay.
func (r *route) wait(c *conn) bool {
	if r.delay == 0 {
		return true
	}
	_ = c.flush()
	select {
	case <-time.After(r.delay):
		return true
	case <-r.srv.over:
		return false
	}
}

func echo(c *conn, r *route, req *request) []byte {
	header := http.Header{}
	_ = eachField(req.fields, func(name, value []byte) error { // parsed once already
		header.Add(string(name), string(value))
		return nil
	})
	b, _ := json.MarshalIndent(map[string]any{ // strings only: cannot fail
		"server": r.srv.name, "method": r.method, "target": string(req.target),
		"remote": c.tcp.RemoteAddr().String(), "local": c.tcp.LocalAddr().String(), "header": header,
	}, "", "  ")
	return append(b, '\n')
}
