package accesslog

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lbctl/internal/lb"
)

var formats = []lb.LogFormat{lb.LogCommon, lb.LogCombined, lb.LogTimings, lb.LogJSON}

var end = time.Date(2026, 11, 29, 12, 40, 17, 345_678_901, time.FixedZone("", -3600))

// whole is a record with everything in it.
func whole() Record {
	return Record{
		Client: netip.MustParseAddrPort("198.51.100.7:1234"), ClientReused: true,
		Method: []byte("GET"), Target: []byte("/a?b=c"), Minor: 1, Host: []byte("example.com"), Referer: []byte("http://r/"), Agent: []byte("curl/8"),
		Service: "web", Route: 2, Backend: "s1", Address: netip.MustParseAddrPort("10.0.0.1:80"), BackendReused: true, Attempts: 1, Why: ByPolicy,
		Status: 200, HeadIn: 50, HeadOut: 100, BodyOut: 5, Queue: 0, Connect: None, Head: 1500 * time.Microsecond, Whole: 2 * time.Second,
	}
}

func lineOf(f lb.LogFormat, r Record) string { return string(formatOf(f).line(nil, &r, end)) }

func TestEveryFormatsLineIsExact(t *testing.T) {
	refused := Record{Client: netip.MustParseAddrPort("[2001:db8::1]:9"), Line: []byte("\x16\x03\x01"), Service: "web", Status: 400, End: BadRequest, Reason: "no", BodyOut: 3, Queue: None, Connect: None, Head: None}
	gone := whole()
	gone.Status, gone.End, gone.BodyOut, gone.Head, gone.Connect, gone.Attempts, gone.Why, gone.Referer, gone.Agent = ClientClosed, ClientGone, 0, None, 20*time.Microsecond, 2, Retried, nil, nil
	for _, c := range []struct {
		format lb.LogFormat
		record Record
		want   string
	}{
		{lb.LogCommon, whole(), `198.51.100.7 - - [29/Nov/2026:12:40:15 -0100] "GET /a?b=c HTTP/1.1" 200 5`},
		{lb.LogCommon, gone, `198.51.100.7 - - [29/Nov/2026:12:40:15 -0100] "GET /a?b=c HTTP/1.1" 499 -`},
		{lb.LogCommon, refused, `2001:db8::1 - - [29/Nov/2026:12:40:17 -0100] "\x16\x03\x01" 400 3`},
		{lb.LogCombined, whole(), `198.51.100.7 - - [29/Nov/2026:12:40:17 -0100] "GET /a?b=c HTTP/1.1" 200 5 "http://r/" "curl/8"`},
		{lb.LogCombined, gone, `198.51.100.7 - - [29/Nov/2026:12:40:17 -0100] "GET /a?b=c HTTP/1.1" 499 0 "-" "-"`},
		{lb.LogCombined, refused, `2001:db8::1 - - [29/Nov/2026:12:40:17 -0100] "\x16\x03\x01" 400 3 "-" "-"`},
		{lb.LogTimings, whole(), `198.51.100.7 - - [29/Nov/2026:12:40:17 -0100] "GET /a?b=c HTTP/1.1" 200 5 "http://r/" "curl/8"` +
			` service="web" backend="s1" address=10.0.0.1:80 attempts=1 why=policy end=complete queue=0.000000 connect=- head=0.001500 whole=2.000000`},
		{lb.LogTimings, refused, `2001:db8::1 - - [29/Nov/2026:12:40:17 -0100] "\x16\x03\x01" 400 3 "-" "-"` +
			` service="web" backend="-" address=- attempts=0 why=none end=bad_request queue=- connect=- head=- whole=0.000000`},
		{lb.LogJSON, whole(), `{"time":"2026-11-29T12:40:15.345-01:00","client":"198.51.100.7:1234","client_reused":true,"method":"GET","target":"/a?b=c","version":"1.1",` +
			`"host":"example.com","referer":"http://r/","agent":"curl/8","status":200,"end":"complete","service":"web","route":2,"backend":"s1","address":"10.0.0.1:80","backend_reused":true,"attempts":1,"why":"policy",` +
			`"head_in":50,"body_in":0,"head_out":100,"body_out":5,"queue":0.000000,"head":0.001500,"whole":2.000000}`},
		{lb.LogJSON, refused, `{"time":"2026-11-29T12:40:17.345-01:00","client":"[2001:db8::1]:9","client_reused":false,"line":"\u0016\u0003\u0001","status":400,"end":"bad_request","reason":"no","service":"web",` +
			`"head_in":0,"body_in":0,"head_out":0,"body_out":3,"whole":0.000000}`},
	} {
		if got := lineOf(c.format, c.record); got != c.want+"\n" {
			t.Errorf("%s:\n got %s want %s", c.format, got, c.want)
		}
	}
}

func TestHostileBytesAreEscapedAsTheOriginalsDo(t *testing.T) {
	const hostile = "a\"b\\c\nd\r\x00\x7f\xff\v\f\t\b é"
	for format, want := range map[lb.LogFormat]string{
		lb.LogCommon:   `a\"b\\c\nd\r\x00\x7f\xff\v\x0c\t\b \xc3\xa9`,
		lb.LogCombined: `a\x22b\x5Cc\x0Ad\x0D\x00\x7F\xFF\x0B\x0C\x09\x08 \xC3\xA9`,
		lb.LogTimings:  `a\x22b\x5Cc\x0Ad\x0D\x00\x7F\xFF\x0B\x0C\x09\x08 \xC3\xA9`,
		lb.LogJSON:     `a\"b\\c\u000ad\u000d\u0000\u007f` + "\ufffd" + `\u000b\u000c\u0009\u0008 é`,
	} {
		r := whole()
		r.Target = []byte(hostile)
		if got := lineOf(format, r); !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", format, got, want)
		}
	}
}

func FuzzARecordIsOneLineAndJSONParses(f *testing.F) {
	f.Add([]byte("GET"), []byte("/\" 200 0\n1.2.3.4 - -"), []byte("h\u2028"), []byte("\xff\xfe"), []byte("\\"), true)
	f.Add([]byte(nil), []byte(nil), []byte(nil), []byte(nil), []byte("\x85\u0085"), false)
	f.Fuzz(func(t *testing.T, method, target, host, referer, agent []byte, request bool) {
		r := whole()
		r.Method, r.Target, r.Host, r.Referer, r.Agent = method, target, host, referer, agent
		r.Backend, r.Reason = string(host), string(agent)
		if !request {
			r.Method, r.Line = nil, target
		}
		for _, format := range formats {
			got := lineOf(format, r)
			if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") || strings.ContainsAny(got[:len(got)-1], "\r\x00\x1b\u2028\u2029\u0085") {
				t.Fatalf("%s: not one line: %q", format, got)
			}
			if format != lb.LogJSON {
				quotes := map[lb.LogFormat]int{lb.LogCommon: 2, lb.LogCombined: 6, lb.LogTimings: 10}[format]
				if n := strings.Count(strings.ReplaceAll(strings.ReplaceAll(got, `\\`, ""), `\"`, ""), `"`); n != quotes {
					t.Fatalf("%s: %d quotes, want %d: %q", format, n, quotes, got)
				}
				continue
			}
			var v struct {
				Target, Line, Host, Agent string
				Status                    int
			}
			if err := json.Unmarshal([]byte(got), &v); err != nil || !utf8.ValidString(got) {
				t.Fatalf("%v, or no UTF-8: %q", err, got)
			}
			want := strings.ToValidUTF8(string(agent), "")
			if back := strings.ReplaceAll(v.Agent, "\ufffd", ""); utf8.Valid(agent) && v.Agent != string(agent) || len(back) > len(want) || v.Status != 200 {
				t.Fatalf("%q came back as %q", agent, v.Agent)
			}
		}
	})
}

func TestALineAllocatesNothing(t *testing.T) {
	logs := NewLogs()
	defer logs.Close(t.Context())
	r := whole()
	for _, format := range formats {
		l := logs.Log(lb.AccessLog{Path: filepath.Join(t.TempDir(), "log"), Format: format}, func(int) {})
		if n := testing.AllocsPerRun(200, func() { l.Log(&r) }); n != 0 {
			t.Errorf("%s: %v allocations", format, n)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	for _, format := range formats {
		b.Run(string(format), func(b *testing.B) {
			logs := NewLogs()
			defer logs.Close(b.Context())
			l := logs.Log(lb.AccessLog{Path: os.DevNull, Format: format}, func(int) {})
			r := whole()
			b.ReportAllocs()
			for b.Loop() {
				l.Log(&r)
			}
		})
	}
}
