package traffic

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestServerSpeaksHTTP(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "s1", Body: 5})
	const host = "Host: x\r\n"
	const again = "GET /healthz HTTP/1.1\r\n" + host + "\r\n"
	tests := []struct {
		name, send string
		statuses   string // of all answers, then whether the connection stays
	}{
		{"get", "GET / HTTP/1.1\r\n" + host + "\r\n", "200 open"},
		{"query is no part of the path", "GET /healthz?x=/y HTTP/1.1\r\n" + host + "\r\n", "200 open"},
		{"absolute form", "GET http://x/healthz HTTP/1.1\r\n" + host + "\r\n", "200 open"},
		{"pipelined", "GET / HTTP/1.1\r\n" + host + "\r\nGET /nothing HTTP/1.1\r\n" + host + "\r\n" + again, "200 404 200 open"},
		{"an empty line before the request", "\r\n" + again, "200 open"},
		{"close", "GET / HTTP/1.1\r\n" + host + "Connection: Foo, Close\r\n\r\n" + again, "200 closed"},
		{"HTTP/1.0 closes", "GET / HTTP/1.0\r\n\r\n", "200 closed"},
		{"HTTP/1.0 with keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200 open"},
		{"body with a length", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc" + again, "200 200 open"},
		{"body of a GET", "GET / HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc" + again, "200 200 open"},
		{"chunked body", "POST /sum HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: x\r\n\r\n" + again, "200 200 open"},
		{"expect", "POST /sum HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\na", "100 200 open"},
		{"method not allowed", "DELETE / HTTP/1.1\r\n" + host + "\r\n", "405 open"},
		{"sum wants a body", "GET /sum HTTP/1.1\r\n" + host + "\r\n", "405 open"},
		{"status without a body", "GET /status/204 HTTP/1.1\r\n" + host + "\r\n" + again, "204 200 open"},
		{"status", "GET /status/503 HTTP/1.1\r\n" + host + "\r\n", "503 open"},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", "400 closed"},
		{"two Hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", "400 closed"},
		{"both framings", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400 closed"},
		{"two lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400 closed"},
		{"signed length", "POST / HTTP/1.1\r\n" + host + "Content-Length: +3\r\n\r\nabc", "400 closed"},
		{"unknown coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501 closed"},
		{"space before the colon", "GET / HTTP/1.1\r\n" + host + "A : b\r\n\r\n", "400 closed"},
		{"folded line", "GET / HTTP/1.1\r\n" + host + "A: b\r\n c\r\n\r\n", "400 closed"},
		{"bare line feeds", "GET / HTTP/1.1\nHost: x\n\n", "400 closed"},
		{"bare carriage return in a value", "GET / HTTP/1.1\r\n" + host + "A: b\rc\r\n\r\n", "400 closed"},
		{"bad chunk size", "POST /sum HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", "400 closed"},
		{"chunk without its end", "POST /sum HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", "400 closed"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 closed"},
		{"head too large", "GET / HTTP/1.1\r\n" + host + "A: " + strings.Repeat("a", 40<<10) + "\r\n\r\n", "431 closed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := converse(t, addr, test.send); got != test.statuses {
				t.Errorf("%q was answered with %q, want %q", test.send, got, test.statuses)
			}
		})
	}
}

// converse sends bytes and returns the statuses of all answers, and whether the
// connection is still of use after them.
func converse(t *testing.T, addr netip.AddrPort, send string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	// A last request shows where the answers end, if the connection stays.
	_, _ = io.WriteString(c, "GET /status/299 HTTP/1.1\r\nHost: x\r\n\r\n")
	br := bufio.NewReader(c)
	var got []string
	for {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return strings.Join(append(got, "closed"), " ")
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == 299 {
			return strings.Join(append(got, "open"), " ")
		}
		if resp.StatusCode != 100 && resp.Header.Get("X-Server") != "s1" {
			t.Errorf("X-Server is %q", resp.Header.Get("X-Server"))
		}
		got = append(got, fmt.Sprint(resp.StatusCode))
	}
}

func TestServerAnswersItsPaths(t *testing.T) {
	addr := startServer(t, ServerConfig{Name: "s1:8080", Body: 100_000})
	base := "http://" + addr.String()
	get := func(method, path, body string, chunked bool) (*http.Response, string) {
		var r io.Reader = strings.NewReader(body)
		if chunked {
			r = io.MultiReader(r)
		}
		req, err := http.NewRequest(method, base+path, r)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Mark", "m")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(data)
	}
	for _, n := range []int{0, 1, 1000, copyUpTo, copyUpTo + 1, 3_000_000} {
		if _, body := get("GET", fmt.Sprintf("/bytes/%d", n), "", false); len(body) != n {
			t.Errorf("/bytes/%d gave %d bytes", n, len(body))
		}
	}
	if _, body := get("GET", "/", "", false); len(body) != 100_000 {
		t.Errorf("/ gave %d bytes", len(body))
	}
	if resp, body := get("HEAD", "/", "", false); body != "" || resp.ContentLength != 100_000 {
		t.Errorf("HEAD gave %q and length %d", body, resp.ContentLength)
	}
	long := strings.Repeat("payload ", 50_000)
	sum := sha256.Sum256([]byte(long))
	for _, chunked := range []bool{false, true} {
		if _, body := get("POST", "/sum", long, chunked); body != hex.EncodeToString(sum[:])+"\n" {
			t.Errorf("sum of a body (chunked %v) is %q", chunked, body)
		}
	}
	var echoed struct {
		Server, Method, Target, Remote string
		Header                         http.Header
	}
	_, body := get("GET", "/echo?a=b", "", false)
	if err := json.Unmarshal([]byte(body), &echoed); err != nil || echoed.Header.Get("X-Mark") != "m" || echoed.Target != "/echo?a=b" || echoed.Server != "s1:8080" {
		t.Errorf("echo gave %s: %v", body, err)
	}
	start := time.Now()
	if _, body := get("GET", "/slow/120ms", "", false); body != "ok\n" || time.Since(start) < 120*time.Millisecond {
		t.Errorf("slow gave %q after %v", body, time.Since(start))
	}
}

func TestServerLetsRequestsInProgressEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Listen(ctx, ServerConfig{Name: "s1", Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx) }()
	idle, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	busy, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	fmt.Fprint(idle, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(busy, "GET /slow/300ms HTTP/1.1\r\nHost: x\r\n\r\n")
	time.Sleep(100 * time.Millisecond)
	cancel()
	start := time.Now()
	_ = idle.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the idle connection was not closed: %v", err)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(busy), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("the request in progress was cut off: %v", err)
	}
	if err := <-ended; err != nil || time.Since(start) > 2*time.Second {
		t.Errorf("Serve returned %v after %v", err, time.Since(start))
	}
}

func TestServerRefusesBadConfigs(t *testing.T) {
	any := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	for _, c := range []ServerConfig{{Listen: any}, {Name: "a b", Listen: any}, {Name: "a\r\n", Listen: any}, {Name: "a"}, {Name: "a", Listen: any, Body: -1}} {
		if _, err := Listen(t.Context(), c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}
