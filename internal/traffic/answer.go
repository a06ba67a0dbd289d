package traffic

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/http1"
)

// maxBody bounds what one request can make a server send.
const maxBody = 1 << 30

// answer is a response to be written.
type answer struct {
	status  int
	kind    string         // Content-Type
	body    []byte         // or
	filler  int64          // so many bytes of filler
	sum     bool           // or the sum of the request's body
	allow   string         // Allow
	client  netip.AddrPort // X-Client-TOA, if valid
	delay   time.Duration  // before it is written
	head    bool           // leave the body out
	close   bool
	persist bool // say that the connection stays, as a client of HTTP/1.0 must be told
}

var okBody, noPathBody = []byte("ok\n"), []byte("no such path\n")

// route finds the answer to a request. What it returns points to nothing of r.
func (c *conn) route(r *http1.Request) answer {
	ok := answer{status: 200, kind: "text/plain", body: okBody}
	if string(r.Path) == "/sum" {
		if r.Method != http1.POST && r.Method != http1.PUT {
			return answer{status: 405, allow: "POST, PUT"}
		}
		c.sum = sha256.New()
		return answer{status: 200, kind: "text/plain", sum: true}
	}
	if r.Method != http1.GET && r.Method != http1.HEAD && r.Method != http1.POST {
		return answer{status: 405, allow: "GET, HEAD, POST"}
	}
	if len(r.Path) == 1 {
		return answer{status: 200, kind: "text/plain", filler: c.loop.body}
	}
	word, arg, _ := bytes.Cut(r.Path[1:], []byte("/"))
	switch string(word) {
	case "healthz":
		return ok
	case "echo":
		return answer{status: 200, kind: "application/json", body: c.echo(r), client: c.told()}
	case "bytes":
		if n, err := strconv.ParseInt(string(arg), 10, 64); err == nil && n >= 0 && n <= maxBody {
			return answer{status: 200, kind: "application/octet-stream", filler: n}
		}
	case "status":
		if n, err := strconv.Atoi(string(arg)); err == nil && n >= 200 && n <= 599 {
			return answer{status: n, kind: "text/plain", body: []byte(strconv.Itoa(n) + "\n")}
		}
	case "slow":
		if d, err := time.ParseDuration(string(arg)); err == nil && d >= 0 && d <= time.Minute {
			ok.delay = d
			return ok
		}
	}
	return answer{status: 404, kind: "text/plain", body: noPathBody}
}

func (c *conn) echo(r *http1.Request) []byte {
	header := http.Header{}
	for i := range r.Fields {
		header.Add(string(r.Fields[i].Name), string(r.Fields[i].Value))
	}
	target := string(r.Path)
	if r.Query != nil {
		target += "?" + string(r.Query)
	}
	b, _ := json.MarshalIndent(map[string]any{ // strings only: cannot fail
		"server": c.loop.name, "method": string(r.MethodName), "target": target,
		"remote": c.tcp.Peer().String(), "local": local(c.tcp.FD()).String(), "header": header,
	}, "", "  ")
	return append(b, '\n')
}

// local returns a connection's own address.
func local(fd int) netip.AddrPort {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
