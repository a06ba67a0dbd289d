package http1

import "testing"

const (
	benchGet = "GET /index.html?page=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.5.0\r\n" +
		"Accept: */*\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"
	benchBrowser = "GET /wp-content/uploads/2010/03/hello-kitty-darth-vader-pink.jpg HTTP/1.1\r\nHost: www.kittyhell.com\r\n" +
		"User-Agent: Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10.6; ja-JP-mac; rv:1.9.2.3) Gecko/20100401 Firefox/3.6.3 Pathtraq/0.9\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: ja,en-us;q=0.7,en;q=0.3\r\n" +
		"Accept-Encoding: gzip,deflate\r\nAccept-Charset: Shift_JIS,utf-8;q=0.7,*;q=0.7\r\nKeep-Alive: 115\r\nConnection: keep-alive\r\n" +
		"Cookie: wp_ozh_wsa_visits=2; wp_ozh_wsa_visit_lasttime=xxxxxxxxxx; __utma=xxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.x\r\n\r\n"
	benchResponse = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 29 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n"
)

func benchRequest(b *testing.B, head string) {
	buf := []byte(head)
	var p Parser
	var r Request
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := p.Request(buf, &r); n != len(buf) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkRequestSmall(b *testing.B)   { benchRequest(b, benchGet) }
func BenchmarkRequestBrowser(b *testing.B) { benchRequest(b, benchBrowser) }

func BenchmarkResponse(b *testing.B) {
	buf := []byte(benchResponse)
	var p Parser
	var r Response
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := p.Response(buf, GET, &r); n != len(buf) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// A head that comes byte by byte, all calls together.
func BenchmarkRequestByteByByte(b *testing.B) {
	buf := []byte(benchBrowser)
	var p Parser
	var r Request
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		for i := 1; i <= len(buf); i++ {
			if n, err := p.Request(buf[:i], &r); err != nil || (n > 0) != (i == len(buf)) {
				b.Fatal(n, err)
			}
		}
	}
}

func benchBody(b *testing.B, chunk int) {
	var buf []byte
	for range max(1, 16384/chunk) {
		buf = appendChunk(buf, make([]byte, chunk))
	}
	buf = AppendLastChunk(buf, nil)
	var body Body
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		body.Start(Chunked, 0)
		for in, done := buf, false; !done; {
			var n int
			var err *Error
			if _, n, done, err = body.Next(in); err != nil {
				b.Fatal(err)
			}
			in = in[n:]
		}
	}
}

func BenchmarkChunks16(b *testing.B)    { benchBody(b, 16) }
func BenchmarkChunks4096(b *testing.B)  { benchBody(b, 4096) }
func BenchmarkChunks16384(b *testing.B) { benchBody(b, 16384) }

func BenchmarkAppendHead(b *testing.B) {
	var p Parser
	var r Request
	if _, err := p.Request([]byte(benchGet), &r); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = appendRequestLine(buf[:0], r.MethodName, r.Target, 1)
		for i := range r.Fields {
			buf = AppendField(buf, r.Fields[i].Name, r.Fields[i].Value)
		}
		buf = append(buf, "\r\n"...)
	}
	if string(buf) != benchGet {
		b.Fatalf("%q", buf)
	}
}
