package l7

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// The contract is what real clients may rely on, whatever drives the proxy.
//
// contract checks it at a VIP whose backends all serve contractBackend.
func contract(t *testing.T, vip netip.AddrPort) {
	for _, part := range []struct {
		name  string
		check func(*testing.T, netip.AddrPort)
	}{
		{"WebSocket", webSocketPasses},
		{"events pass as they come", eventsPass},
		{"chunks and trailers pass both ways", trailersPass},
		{"HEAD has no body", headHasNoBody},
		{"a hundred requests in one write are answered in order", pipeliningPasses},
		{"HTTP/1.0", oldClientsAreServed},
		{"fifty of Go's clients at once", goClientsAreServed},
		{"curl", curlIsServed},
		{"ab", abIsServed},
		{"wrk", wrkIsServed},
		{"a browser", browserIsServed},
	} {
		t.Run(part.name, func(t *testing.T) { part.check(t, vip) })
	}
}

// Under every model, through a master and its worker processes.
func TestTheContractWithRealClients(t *testing.T) {
	if oneOfTheModels() {
		t.Skip("all models are tried already")
	}
	for _, shape := range []Shape{
		{Model: Prefork, Start: 40, MinSpare: 10, MaxSpare: 60, Processes: 80},
		{Model: Threads, Threads: 16, Start: 2, MinSpare: 10, MaxSpare: 60, Processes: 5},
		{Model: Event, Threads: 8, Start: 2, MinSpare: 5, MaxSpare: 60, Processes: 5},
		{Model: Loop, Processes: 2, Events: "epoll"},
		{Model: Loop, Processes: 2},
	} {
		t.Run(strings.TrimSpace(fmt.Sprint(shape.Model, " ", shape.Events)), func(t *testing.T) {
			l := newLab(t)
			l.backend(contractBackend())
			l.backend(contractBackend())
			s := l.service("web", lb.RoundRobin)
			// Of the models that have a thread for each connection a client must not wait for the
			// idle ones of others.
			s.HTTP.ClientIdleTimeout = 2 * time.Second
			o := planeOptions(t)
			o.Shape = shape
			p := openPlane(t, o)
			defer endProxy(t, p)
			l.applyTo(p)
			contract(t, s.VIP.Addr)
			eventually(t, 5*time.Second, func() error {
				stats, err := p.Stats()
				if err != nil {
					return err
				}
				left := stats.Services[0].Counters.Active + stats.Services[0].Counters.Errors
				for _, b := range stats.Services[0].Backends {
					left += b.Counters.Active
				}
				if left != 0 {
					return fmt.Errorf("left: %+v", stats.Services[0])
				}
				return nil
			})
		})
	}
}

// contractBackend answers what contract asks.
func contractBackend() http.HandlerFunc {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello "+r.URL.Path) })
	mux.HandleFunc("/ws", serveWebSocket)
	mux.HandleFunc("/report", func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if c, ok := reports.Load(r.URL.RawQuery); ok {
			c.(chan string) <- string(b)
		}
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, browserPage)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond)
		}
	})
	mux.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Check")
		sum := sha256.New()
		io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%x", sum.Sum(nil))
		http.NewResponseController(w).Flush()
		w.Header().Set("X-Check", r.Trailer.Get("X-Check"))
	})
	return mux.ServeHTTP
}

func eventsPass(t *testing.T, vip netip.AddrPort) {
	resp, err := http.Get("http://" + vip.String() + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	var came [3]time.Time
	for i := range came {
		line, err := in.ReadString('\n')
		in.ReadString('\n')
		if came[i] = time.Now(); err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if d := came[2].Sub(came[0]); d < 60*time.Millisecond {
		t.Errorf("three events in %v: they came together", d)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func trailersPass(t *testing.T, vip netip.AddrPort) {
	body := strings.Repeat("0123456789", 30_000)
	req, _ := http.NewRequest(http.MethodPost, "http://"+vip.String()+"/sum", struct{ io.Reader }{strings.NewReader(body)})
	req.Trailer = http.Header{"X-Check": {"42"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(got) != fmt.Sprintf("%x", sha256.Sum256([]byte(body))) || resp.Trailer.Get("X-Check") != "42" {
		t.Errorf("%q, %v, trailers %v", got, err, resp.Trailer)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func headHasNoBody(t *testing.T, vip netip.AddrPort) {
	c := rawDial(t, vip)
	defer c.Close()
	in := bufio.NewReader(c)
	for _, method := range []string{"HEAD", "GET", "HEAD"} {
		fmt.Fprintf(c, "%s /x HTTP/1.1\r\nHost: h\r\n\r\n", method)
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if want := map[string]string{"GET": "hello /x"}[method]; err != nil || string(b) != want || resp.ContentLength != int64(len("hello /x")) {
			t.Errorf("%s: %q, length %d, %v", method, b, resp.ContentLength, err)
		}
	}
}

func pipeliningPasses(t *testing.T, vip netip.AddrPort) {
	c := rawDial(t, vip)
	defer c.Close()
	var all bytes.Buffer
	for i := range 100 {
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
	}
	c.Write(all.Bytes())
	in := bufio.NewReader(c)
	for i := range 100 {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != fmt.Sprint("hello /", i) {
			t.Fatalf("answer %d is %q, %v", i, b, err)
		}
	}
}

func oldClientsAreServed(t *testing.T, vip netip.AddrPort) {
	for _, fields := range []string{"", "Connection: keep-alive\r\n", "Host: h\r\n"} {
		for _, path := range []string{"/x", "/events"} {
			c := rawDial(t, vip)
			fmt.Fprintf(c, "GET %s HTTP/1.0\r\n%s\r\n", path, fields)
			b, err := io.ReadAll(c)
			c.Close()
			if _, body, _ := strings.Cut(string(b), "\r\n\r\n"); err != nil || body != map[string]string{"/x": "hello /x", "/events": "data: 0\n\ndata: 1\n\ndata: 2\n\n"}[path] {
				t.Errorf("%q: %q, %v", fields, b, err)
			}
		}
	}
}

func goClientsAreServed(t *testing.T, vip netip.AddrPort) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 50}}
	defer client.CloseIdleConnections()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for j := range 20 {
				path := fmt.Sprintf("/%d/%d", i, j)
				resp, err := client.Get("http://" + vip.String() + path)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(b) != "hello "+path {
					t.Errorf("%s: %q, %v", path, b, err)
				}
			}
		})
	}
	all.Wait()
}

// tool runs a program that talks to the VIP, and returns what it said.
func tool(t *testing.T, stdin string, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("this machine has no %s", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Stdin = strings.NewReader(stdin)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func curlIsServed(t *testing.T, vip netip.AddrPort) {
	url, big := "http://"+vip.String(), strings.Repeat("0123456789abcdef", 256<<10) // 4 MiB
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(big)))
	for _, c := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"GET", "", []string{url + "/x"}, "hello /x"},
		{"GET twice on one connection", "", []string{"-w", " %{num_connects};", url + "/x", url + "/y"}, "hello /x 1;hello /y 0;"},
		{"HTTP/1.0", "", []string{"--http1.0", url + "/x"}, "hello /x"},
		{"a big body after 100 Continue", big, []string{"--data-binary", "@-", "-H", "Expect: 100-continue", "--expect100-timeout", "20", url + "/sum"}, sum},
		{"a big body at once", big, []string{"--data-binary", "@-", "-H", "Expect:", url + "/sum"}, sum},
		{"a big body in chunks", big, []string{"-T", "-", url + "/sum"}, sum},
		{"DELETE", "", []string{"-X", "DELETE", url + "/x"}, "hello /x"},
	} {
		if got := tool(t, c.stdin, "curl", append([]string{"-sS", "-m", "20"}, c.args...)...); got != c.want {
			t.Errorf("%s: %.200q, want %q", c.name, got, c.want)
		}
	}
	if got := tool(t, "", "curl", "-sSI", url+"/x"); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.Contains(got, "Content-Length: 8\r\n") {
		t.Errorf("HEAD: %q", got)
	}
}

func abIsServed(t *testing.T, vip netip.AddrPort) {
	for _, keep := range [][]string{nil, {"-k"}} {
		out := tool(t, "", "ab", append(keep, "-q", "-n", "300", "-c", "10", "http://"+vip.String()+"/x")...)
		if !regexp.MustCompile(`Complete requests: +300\nFailed requests: +0\n`).MatchString(out) || strings.Contains(out, "Non-2xx") {
			t.Errorf("%q:\n%s", keep, out)
		}
	}
}

func wrkIsServed(t *testing.T, vip netip.AddrPort) {
	out := tool(t, "", "wrk", "-t", "1", "-c", "50", "-d", "2s", "http://"+vip.String()+"/x")
	if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") || !strings.Contains(out, "Requests/sec") {
		t.Error(out)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "Requests/sec") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// reports has a channel for each browser's.
var reports sync.Map

// browserPage tells /report what became of a WebSocket, an EventSource, and requests
// with bodies.
const browserPage = `<!doctype html><script>
const socket = () => new Promise((ok, no) => {
	const s = new WebSocket("ws://" + location.host + "/ws"), got = [];
	s.onopen = () => { s.send("one"); s.send("two".repeat(30000)); };
	s.onmessage = e => { got.push(e.data.length); if (got.length == 2) s.close(1000); };
	s.onclose = e => ok("socket " + got + " " + e.code + " " + e.wasClean);
	s.onerror = () => no("socket failed");
});
const events = () => new Promise((ok, no) => {
	const s = new EventSource("/events"), got = [];
	s.onmessage = e => { got.push(e.data); if (got.length == 3) { s.close(); ok("events " + got); } };
	s.onerror = () => no("events failed");
});
const post = async () => "post " + (await (await fetch("/sum", {method: "POST", body: "x".repeat(1 << 20)})).text()).length;
const many = async () => "many " + (await Promise.all([...Array(30).keys()].map(async i => (await (await fetch("/n" + i)).text()) == "hello /n" + i))).every(x => x);
(async () => {
	let said;
	try { said = (await Promise.all([socket(), events(), post(), many()])).join("; "); } catch (e) { said = "failed: " + e; }
	await fetch("/report" + location.search, {method: "POST", body: said});
})();
</script>`

func browserIsServed(t *testing.T, vip netip.AddrPort) {
	var path string
	for _, name := range []string{"chromium-headless-shell", "chromium"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("this machine has no chromium")
	}
	dir, err := os.MkdirTemp("", "lbctl-browser")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	reported := make(chan string, 1)
	reports.Store("t="+filepath.Base(dir), reported)
	defer reports.Delete("t=" + filepath.Base(dir))
	c := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server", "--user-data-dir="+dir,
		"--remote-debugging-port=0", "http://"+vip.String()+"/page?t="+filepath.Base(dir))
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		c.Wait()
	}()
	const want = "socket 3,90000 1000 true; events 0,1,2; post 64; many true"
	select {
	case got := <-reported:
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	case <-time.After(40 * time.Second):
		t.Error("the browser says nothing")
	}
}
