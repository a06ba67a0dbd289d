package l7

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A witness is a backend that tells which requests it got. Each answers with the
// target in X-Path.
type witness struct {
	name string
	addr netip.AddrPort
	seen func() []string // method and target of each request, in any order
}

var witnesses = []func(testing.TB) *witness{recordingWitness, goWitness, nginxWitness, apacheWitness}

func goWitness(t testing.TB) *witness {
	var mu sync.Mutex
	var lines []string
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, r.Method+" "+r.RequestURI)
		w.Header().Set("X-Path", r.RequestURI)
	})}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(ln)
	t.Cleanup(func() { s.Close() })
	return &witness{name: "net/http", addr: listenerAddr(ln), seen: func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), lines...)
	}}
}

// nginxWitness is an nginx that believes names with underscores, too.
func nginxWitness(t testing.TB) *witness {
	addr, dir := freeAddr(t, "127.0.0.1"), t.TempDir()
	log := filepath.Join(dir, "access.log")
	startServer(t, addr, dir, fmt.Sprintf(`daemon off; master_process off; worker_rlimit_nofile 512;
pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http {
	log_format line '$request'; access_log %[2]s line;
	client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	keepalive_requests 1000000; underscores_in_headers on; client_max_body_size 0;
	server { listen %[3]s; location / { add_header X-Path $request_uri always; return 200 ok; } }
}`, dir, log, addr), "nginx", "-e", dir+"/error.log", "-p", dir, "-c")
	return &witness{name: "nginx", addr: addr, seen: logReader(t, log)}
}

// apacheWitness is an Apache with the event MPM, as lenient as it can be.
func apacheWitness(t testing.TB) *witness {
	addr, dir := freeAddr(t, "127.0.0.1"), t.TempDir()
	log := filepath.Join(dir, "access.log")
	os.Chmod(dir, 0o755) // it reads as another user
	os.Chmod(filepath.Dir(dir), 0o755)
	startServer(t, addr, dir, fmt.Sprintf(`ServerRoot /usr/lib/apache2
DefaultRuntimeDir %[1]s
PidFile %[1]s/pid
Listen %[3]s
ServerName h
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule headers_module modules/mod_headers.so
User www-data
Group www-data
ErrorLog %[1]s/error.log
LogFormat "%%r" line
CustomLog %[2]s line
HttpProtocolOptions Unsafe LenientMethods Allow0.9
TraceEnable extended
MaxKeepAliveRequests 0
KeepAliveTimeout 100
DocumentRoot %[1]s
Header always set X-Path "expr=%%{REQUEST_URI}"
`, dir, log, addr), "apache2", "-X", "-f")
	return &witness{name: "Apache", addr: addr, seen: logReader(t, log)}
}

func logReader(t testing.TB, path string) func() []string {
	return func() []string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	}
}

// startServer runs a server in the foreground, with its configuration's file as last
// argument, until the test ends, however it ends.
func startServer(t testing.TB, addr netip.AddrPort, dir, config, program string, args ...string) {
	path, err := exec.LookPath(program)
	if err != nil {
		path = "/usr/sbin/" + program
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("this machine has no %s", program)
	}
	if err := os.WriteFile(dir+"/conf", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, append(args, dir+"/conf")...)
	var said strings.Builder
	c.Stdout, c.Stderr = &said, &said
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(dir + "/error.log")
			t.Logf("%s said %s\n%.3000s", program, said.String(), log)
		}
	})
	eventually(t, 10*time.Second, func() error {
		conn, err := net.Dial("tcp", addr.String())
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// recorder is a backend that keeps what it got, as the strict reader reads it.
type recorder struct {
	addr netip.AddrPort
	mu   sync.Mutex
	got  []*reading
	bad  []error
	all  []string
}

func recordingWitness(t testing.TB) *witness {
	r := newRecorder(t)
	return &witness{name: "recorder", addr: r.addr, seen: func() []string {
		r.mu.Lock()
		defer r.mu.Unlock()
		return append([]string(nil), r.all...)
	}}
}

func newRecorder(t testing.TB) *recorder {
	r := &recorder{}
	r.addr = rawBackend(t, r.serve)
	return r
}

// rawBackend serves each connection with serve, in a goroutine of its own.
func rawBackend(t testing.TB, serve func(net.Conn)) netip.AddrPort {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			all.Go(func() {
				serve(c)
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return listenerAddr(ln)
}

func (r *recorder) serve(c net.Conn) {
	var in string
	buf := make([]byte, 128<<10)
	for {
		n, err := c.Read(buf)
		in += string(buf[:n])
		for in != "" {
			m, rest, bad := readStrictly(in, requestShape, false)
			if bad == errPartial {
				break
			}
			r.mu.Lock()
			if bad != nil {
				r.bad = append(r.bad, fmt.Errorf("%w in %.300q", bad, in))
				r.mu.Unlock()
				return
			}
			r.got, in = append(r.got, m), rest
			r.all = append(r.all, m.first)
			r.mu.Unlock()
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Path: %s\r\nContent-Length: 0\r\n\r\n", m.target())
		}
		if err != nil {
			return
		}
	}
}

// take returns what came since it was called last.
func (r *recorder) take() (got []*reading, bad []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	got, bad = r.got, r.bad
	r.got, r.bad = nil, nil
	return got, bad
}
