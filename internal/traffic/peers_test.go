package traffic

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// peerCases are what generator and server are weighed under.
var peerCases = []struct {
	name, path string
	keep       bool
}{
	{"small", "/", true},
	{"connection", "/", false},
	{"64KiB", "/bytes/65536", true},
}

const (
	peerConnections = 64
	peerRun         = 2 * time.Second
	peerRounds      = 7
	peerBody        = 128
)

// weigh lets ours and theirs run in turn, the order changing with each round, and
// reports the medians of what they return: CPU µs per request.
func weigh(b *testing.B, peer string, ours, theirs func() float64) {
	var all [2][]float64
	b.ResetTimer()
	for round := range peerRounds {
		for i := range all {
			who := (i + round) % 2
			all[who] = append(all[who], [...]func() float64{ours, theirs}[who]())
		}
	}
	b.StopTimer()
	us, them := median(all[0]), median(all[1])
	b.ReportMetric(us, "lbctl-µs/req")
	b.ReportMetric(them, peer+"-µs/req")
	b.ReportMetric(us/them, "ratio")
	b.ReportMetric(0, "ns/op")
	b.Logf("lbctl %.1f, %s %.1f", all[0], peer, all[1])
}

// BenchmarkGeneratorAgainstWrk weighs the generator and wrk, all of either
// process from start to end, against one nginx, which is watched too: a generator
// could look cheap because it leaves work to the other end.
func BenchmarkGeneratorAgainstWrk(b *testing.B) {
	wrk := needTool(b, "wrk")
	addr, pid := startNginx(b)
	for _, c := range peerCases {
		b.Run(c.name, func(b *testing.B) {
			var server [2][]float64
			watch := func(who int, run func() (float64, uint64)) func() float64 {
				return func() float64 {
					before, _ := processCPU(pid)
					cpu, n := run()
					after, err := processCPU(pid)
					if err != nil {
						b.Fatal(err)
					}
					server[who] = append(server[who], float64((after-before).Nanoseconds())/1e3/float64(n))
					return cpu
				}
			}
			load := Load{Targets: []netip.AddrPort{addr}, Path: c.path, Connections: peerConnections, KeepAlive: c.keep, Duration: peerRun}
			weigh(b, "wrk", watch(0, func() (float64, uint64) {
				var used *exec.Cmd
				start := func(cmd *exec.Cmd) error { used = cmd; return cmd.Start() }
				r, err := RunProcess(b.Context(), start, testSelf(b), load, nil)
				if err != nil || r.Failed() > 0 {
					b.Fatal(err, r.Errors)
				}
				return perRequest(used, r.Requests), r.Requests
			}), watch(1, func() (float64, uint64) { return runWrk(b, wrk, addr, c.path, c.keep) }))
			b.ReportMetric(median(server[0]), "nginx-under-lbctl-µs/req")
			b.ReportMetric(median(server[1]), "nginx-under-wrk-µs/req")
		})
	}
}

// BenchmarkServerAgainstNginx weighs the server and one nginx worker under the
// generator.
func BenchmarkServerAgainstNginx(b *testing.B) {
	theirs, theirPID := startNginx(b)
	ours, ourPID := startServerProcess(b, fmt.Sprintf("LBCTL_TEST_BODY=%d", peerBody))
	for _, c := range peerCases {
		b.Run(c.name, func(b *testing.B) {
			under := func(addr netip.AddrPort, pid int) func() float64 {
				return func() float64 {
					load := Load{Targets: []netip.AddrPort{addr}, Path: c.path, Connections: peerConnections, KeepAlive: c.keep, Duration: peerRun, Warmup: peerRun / 10}
					var at []time.Duration
					r, err := RunProcess(b.Context(), (*exec.Cmd).Start, testSelf(b), load, func(Event) {
						d, err := processCPU(pid)
						if err != nil {
							b.Fatal(err)
						}
						at = append(at, d)
					})
					if err != nil || r.Failed() > 0 {
						b.Fatal(err, r.Errors)
					}
					return float64((at[1] - at[0]).Nanoseconds()) / 1e3 / float64(r.Answered)
				}
			}
			weigh(b, "nginx", under(ours, ourPID), under(theirs, theirPID))
		})
	}
}

func median(xs []float64) float64 {
	slices.Sort(xs)
	return xs[len(xs)/2]
}

func perRequest(cmd *exec.Cmd, requests uint64) float64 {
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return float64(cpu.Nanoseconds()) / 1e3 / float64(requests)
}

func needTool(b *testing.B, name string) string {
	b.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path = "/usr/sbin/" + name; exec.Command("test", "-x", path).Run() != nil {
			b.Skipf("%s is not installed: apt-get install %s", name, name)
		}
	}
	return path
}

var wrkRequests = regexp.MustCompile(`(\d+) requests in`)

func runWrk(b *testing.B, wrk string, addr netip.AddrPort, path string, keep bool) (float64, uint64) {
	b.Helper()
	args := []string{"-t1", fmt.Sprintf("-c%d", peerConnections), fmt.Sprintf("-d%.0fs", peerRun.Seconds())}
	if !keep {
		args = append(args, "-H", "Connection: close")
	}
	cmd := exec.Command(wrk, append(args, "http://"+addr.String()+path)...)
	out, err := cmd.CombinedOutput()
	m := wrkRequests.FindSubmatch(out)
	if err != nil || m == nil || bytes.Contains(out, []byte("Non-2xx")) {
		b.Fatalf("run wrk: %v\n%s", err, out)
	}
	n, _ := strconv.ParseUint(string(m[1]), 10, 64)
	return perRequest(cmd, n), n
}

// startNginx runs one nginx process, which is master and worker, on a free port.
// It answers / without looking at a file, and /bytes/65536 with sendfile.
func startNginx(b *testing.B) (netip.AddrPort, int) {
	b.Helper()
	nginx := needTool(b, "nginx")
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	dir := b.TempDir()
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
	access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type text/plain; open_file_cache max=10;
	client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	server {
		listen %[2]s backlog=4096;
		location = / { return 200 "%[3]s"; }
		location /bytes/ { root %[1]s; }
	}
}
`, dir, addr, strings.Repeat("x", peerBody))
	large := filepath.Join(dir, "bytes", "65536")
	for _, err := range []error{
		os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755), os.Mkdir(filepath.Dir(large), 0o755),
		os.WriteFile(large, filler[:65536], 0o644), os.WriteFile(filepath.Join(dir, "conf"), []byte(config), 0o644),
	} {
		if err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command(nginx, "-c", filepath.Join(dir, "conf"), "-p", dir)
	var stderr tail
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
	defer cancel()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr.String())
		if err == nil {
			c.Close()
			return addr, cmd.Process.Pid
		}
		if ctx.Err() != nil {
			b.Fatalf("nginx does not answer: %v", stderr.err())
		}
		time.Sleep(10 * time.Millisecond)
	}
}
