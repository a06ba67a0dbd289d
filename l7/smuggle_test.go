package l7

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"lbctl/internal/lb"
)

// marked gives a trick paths of its own, of the same length.
func (k trick) marked(i int) string {
	return strings.NewReplacer(first, fmt.Sprintf("/f%04d", i), second, fmt.Sprintf("/smug%04d", i)).Replace(k.bytes)
}

// answer is one that a client got.
type answer struct {
	status int
	passed bool   // it is a backend's
	path   string // to which target, if the backend says so (X-Path)
}

// talk sends b in pieces, at once if that is 1, reads an answer and, if that was the backend's and
// more is given, asks for that, too. It returns all answers up to the connection's
// end, which it asks for last.
func talk(t testing.TB, vip netip.AddrPort, b string, pieces int, waits bool, more string) (all []answer) {
	c, err := net.Dial("tcp", vip.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	for ; pieces > 1 && len(b) > 1; pieces-- {
		n := max(len(b)/pieces, 1)
		io.WriteString(c, b[:n])
		b = b[n:]
		time.Sleep(200 * time.Microsecond)
	}
	io.WriteString(c, b) // fails if it was refused before
	if waits {
		c.(*net.TCPConn).CloseWrite()
	}
	in := bufio.NewReader(c)
	method, _, _ := strings.Cut(strings.TrimLeft(b, "\r\n"), " ")
	for {
		if b, err := in.Peek(1); err != nil || len(b) == 0 {
			return all
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Errorf("%.60q: %v", b, err)
			}
			return all
		}
		if resp.StatusCode < 200 {
			continue
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		all = append(all, answer{resp.StatusCode, resp.Header.Get("Via") != "", resp.Header.Get("X-Path")})
		if len(all) == 1 {
			if more != "" && !resp.Close {
				io.WriteString(c, "GET "+more+" HTTP/1.1\r\nHost: h\r\n\r\n")
				method = "GET"
				continue
			}
			c.(*net.TCPConn).CloseWrite()
		}
		if len(all) == 2 {
			c.(*net.TCPConn).CloseWrite()
		}
	}
}

// try plays a trick and says what was wrong with the answers. A request for /last
// follows on the same connection, one for /prob on another.
func (k trick) try(t testing.TB, vip netip.AddrPort, i, pieces int) error {
	last, probe := fmt.Sprintf("/last%04d", i), fmt.Sprintf("/prob%04d", i)
	if k.want.status != 0 || k.want.ends {
		last = ""
	}
	got := talk(t, vip, k.marked(i), pieces, k.want.waits, last)
	if others := talk(t, vip, "GET "+probe+" HTTP/1.1\r\nHost: h\r\n\r\n", 1, false, ""); len(others) != 1 || others[0].path != probe {
		return fmt.Errorf("another client asked for %s and got %v", probe, others)
	}
	switch {
	case k.want.waits: // a backend may answer before it has got all
		if len(got) > 1 || len(got) == 1 && !got[0].passed {
			return fmt.Errorf("answers %v", got)
		}
	case k.want.status != 0:
		if len(got) != 1 || got[0] != (answer{status: k.want.status}) {
			return fmt.Errorf("answers %v, want %d of the proxy", got, k.want.status)
		}
	case k.want.ends:
		if len(got) != 1 || !got[0].passed {
			return fmt.Errorf("answers %v, want one of the backend", got)
		}
	case len(got) != 2 || !got[0].passed || got[1].path != last:
		return fmt.Errorf("answers %v, want two of the backend, the second one to %s", got, last)
	}
	return nil
}

// count says what is wrong with the requests that a backend saw of trick i.
func (k trick) count(i int, seen []string) error {
	n := map[string]int{}
	for _, line := range seen {
		for _, kind := range []string{"/f", "/smug", "/last", "/prob"} {
			if strings.Contains(line, fmt.Sprintf("%s%04d", kind, i)) {
				n[kind]++
			}
		}
	}
	passed := k.want.status == 0 && !k.want.waits
	least, most := 0, 0
	if passed && strings.Contains(k.bytes, first) {
		least, most = 1, 1
	} else if k.want.waits || k.class == "chunks" {
		most = 1 // its head may have gone on before the rest came
	}
	lasts := 0
	if passed && !k.want.ends {
		lasts = 1
	}
	if n["/smug"] != 0 || n["/f"] < least || n["/f"] > most || n["/last"] != lasts || n["/prob"] != 1 {
		return fmt.Errorf("the backend saw %v", n)
	}
	return nil
}

func TestNoTrickMakesTwoRequestsOfOne(t *testing.T) {
	all := tricks()
	if len(all) < 150 {
		t.Errorf("%d tricks", len(all))
	}
	outcomes := make([][]string, len(all))
	var names []string
	for _, start := range witnesses {
		t.Run(fmt.Sprint("backend ", len(names)), func(t *testing.T) {
			l := newLab(t)
			w := start(t)
			names = append(names, w.name)
			s := l.service("web", lb.RoundRobin)
			s.Backends = []lb.Backend{{ID: 1, Name: w.name, Addr: w.addr, Weight: 1, Health: lb.Up}}
			l.apply()
			for i, k := range all {
				if err := k.try(t, s.VIP.Addr, i, 1); err != nil {
					t.Errorf("%s: %s, %s: %v", w.name, k.class, k.name, err)
				}
			}
			time.Sleep(50 * time.Millisecond) // a log's line comes after the answer
			seen := w.seen()
			for i, k := range all {
				err := k.count(i, seen)
				if err != nil {
					t.Errorf("%s: %s, %s: %v", w.name, k.class, k.name, err)
					outcomes[i] = append(outcomes[i], "WRONG")
				} else if k.want.status == 0 && !k.want.waits {
					outcomes[i] = append(outcomes[i], "1")
				} else {
					outcomes[i] = append(outcomes[i], "0")
				}
			}
		})
	}
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "class\ttrick\toutcome\trequests seen by %s\n", strings.Join(names, ", "))
	for i, k := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", k.class, k.name, k.want, strings.Join(outcomes[i], " "))
	}
	table.Flush()
	t.Logf("%d tricks\n%s", len(all), &b)
}

func TestATrickThatPassesIsReadInOneWayOnly(t *testing.T) {
	l := newLab(t)
	r := newRecorder(t)
	s := l.service("web", lb.RoundRobin)
	s.Backends = []lb.Backend{{ID: 1, Name: "r", Addr: r.addr, Weight: 1, Health: lb.Up}}
	l.apply()
	for i, k := range tricks() {
		for _, pieces := range []int{1, 2, 7} {
			if err := k.try(t, s.VIP.Addr, i, pieces); err != nil {
				t.Errorf("%s, %s, in %d pieces: %v", k.class, k.name, pieces, err)
			}
			got, bad := r.take()
			for _, err := range bad {
				t.Errorf("%s, %s, in %d pieces: the backend got what is no strict HTTP: %v", k.class, k.name, pieces, err)
			}
			passed := 0
			for _, m := range got {
				if strings.Contains(m.first, " /last") || strings.Contains(m.first, " /prob") {
					continue
				}
				passed++
				k.want.compare(t, k, m)
			}
			if want := k.want.status == 0 && !k.want.waits; passed > 1 || want != (passed == 1) {
				t.Errorf("%s, %s, in %d pieces: %d requests", k.class, k.name, pieces, passed)
			}
		}
	}
}

// compare checks what the backend read.
func (v verdict) compare(t testing.TB, k trick, m *reading) {
	t.Helper()
	host := v.host
	if host == "" {
		host = "h"
	}
	if m.framing != v.framing || host != "*" && m.get("host")[0] != host {
		t.Errorf("%s, %s: the backend read %s for %s, want %s", k.class, k.name, m.framing, m.get("host"), v)
	}
	for _, name := range strings.Fields(v.lacks) {
		if values := m.get(name); len(values) > 0 {
			t.Errorf("%s, %s: the backend got %s: %q", k.class, k.name, name, values)
		}
	}
}
