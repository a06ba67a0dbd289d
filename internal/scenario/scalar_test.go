package scenario

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// parsed returns what a scalar makes of a text: its value, or its complaint.
func parsed[T any](text string) string {
	var v T
	if err := scalarOf(&v).parse(text); err != nil {
		return "error"
	}
	if d, ok := any(v).(Duration); ok {
		return time.Duration(d).String()
	}
	return fmt.Sprint(v)
}

func TestScalarsMeanWhatTheyLookLike(t *testing.T) {
	for _, c := range []struct {
		parse      func(string) string
		text, want string
	}{
		{parsed[Duration], "500ms", "500ms"},
		{parsed[Duration], "1m30s", "1m30s"},
		{parsed[Duration], "1.5s", "1.5s"},
		{parsed[Duration], "24h", "24h0m0s"},
		{parsed[Duration], "24h1ms", "error"},
		{parsed[Duration], "0s", "error"},
		{parsed[Duration], "500us", "error"},
		{parsed[Duration], "1", "error"},
		{parsed[Duration], "99999999999999999999h", "error"},
		{parsed[Pause], "0s", "0"},
		{parsed[Size], "0", "0"},
		{parsed[Size], "128", "128"},
		{parsed[Size], "64KiB", "65536"},
		{parsed[Size], "64 kB", "64000"},
		{parsed[Size], "1.5MiB", "1572864"},
		{parsed[Size], "0.3B", "error"},
		{parsed[Size], "65MiB", "error"},
		{parsed[Size], "-1", "error"},
		{parsed[Rate], "300/s", "300"},
		{parsed[Rate], "5k/s", "5000"},
		{parsed[Rate], "600/m", "10"},
		{parsed[Rate], "0.5/s", "0.5"},
		{parsed[Rate], "11M/s", "error"},
		{parsed[Rate], "0/m", "error"},
		{parsed[Status], "200", "{200 200}"},
		{parsed[Status], "200-399", "{200 399}"},
		{parsed[Status], "600", "error"},
		{parsed[Status], "2xx", "error"},
		{parsed[Weight], "2147483647", "2147483647"},
		{parsed[Weight], "2147483648", "error"},
		{parsed[Weight], "01", "error"},
		{parsed[Weight], "+1", "error"},
		{parsed[Weight], "0x10", "error"},
		{parsed[Prefix], "198.18.0.0/15", "198.18.0.0/15"},
		{parsed[Prefix], "198.18.0.0/14", "error"},
		{parsed[Prefix], "198.20.0.0/24", "error"},
		{parsed[Prefix], "::ffff:198.18.0.0/112", "error"},
		{parsed[Addr], "198.19.255.254", "198.19.255.254"},
		{parsed[Addr], "2001:2::1", "2001:2::1"},
		{parsed[Addr], "2001:2::1%eth0", "error"},
		{parsed[Addr], "127.0.0.1", "error"},
		{parsed[Addr], "198.18.0.01", "error"},
		{parsed[Endpoint], "198.18.3.1", "{198.18.3.1 0}"},
		{parsed[Endpoint], "198.18.3.1:80", "{198.18.3.1 80}"},
		{parsed[Endpoint], "[2001:2::1]:80", "{2001:2::1 80}"},
		{parsed[Endpoint], "198.18.3.1:0", "error"},
		{parsed[Endpoint], "localhost:80", "error"},
		{parsed[LabName], "l4-vs-l7", "l4-vs-l7"},
		{parsed[LabName], strings.Repeat("x", 40), strings.Repeat("x", 40)},
		{parsed[LabName], strings.Repeat("x", 41), "error"},
		{parsed[LabName], "-x", "error"},
		{parsed[LabName], "x-", "error"},
		{parsed[LabName], "x\n", "error"},
		{parsed[NodeName], strings.Repeat("x", 31), strings.Repeat("x", 31)},
		{parsed[NodeName], strings.Repeat("x", 32), "error"},
		{parsed[Path], "/a?b=c&d", "/a?b=c&d"},
		{parsed[Path], "/a b", "error"},
		{parsed[Path], "/a#b", "error"},
		{parsed[Path], "/a\r\nX: y", "error"},
		{parsed[SysctlKey], "net.ipv4.conf.eth0.rp_filter", "net.ipv4.conf.eth0.rp_filter"},
		{parsed[SysctlKey], "kernel.panic", "error"},
		{parsed[SysctlKey], "net...", "error"},
		{parsed[Destination], "default", "0.0.0.0/0"},
		{parsed[Destination], "::/0", "::/0"},
	} {
		if got := c.parse(c.text); got != c.want {
			t.Errorf("%q: got %s, want %s", c.text, got, c.want)
		}
	}
}

func TestNearestSuggestsSlipsOnly(t *testing.T) {
	known := []string{"backends", "check", "http", "policy", "s1", "web-l4", "web-l7"}
	for word, want := range map[string]string{
		"bakends": "backends", "backedns": "backends", "BACKENDS": "backends", "chek": "check", "polciy": "policy",
		"web_l4": "web-l4", "s2": "", "web-l5": "", "frobnicate": "", "": "", "x": "", "é": "", strings.Repeat("check", 100): "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestDistanceCountsEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != c.want {
			t.Errorf("%q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestSpansArePrintedAsTyped(t *testing.T) {
	for _, text := range []string{"0s", "1ms", "10s", "1m", "1m30s", "10m", "1h", "24h", "1h30m", "1h0m1s"} {
		d, err := time.ParseDuration(text)
		if err != nil || span(d) != text {
			t.Errorf("%s is printed as %s, %v", text, span(d), err)
		}
	}
}
