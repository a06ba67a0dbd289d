package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// result is what wrk says.
type result struct {
	requests, errors int
	rate             float64
	p50, p99         time.Duration
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkRate     = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	wrkQuantile = regexp.MustCompile(`(50|99)%\s+([\d.]+)(us|ms|s)\b`)
	wrkErrors   = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkStatus   = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

// patience is how much longer than it should a command may run.
const patience = 20 * time.Second

// load runs the generator, a closed loop, for so long.
func (b *bench) load(ctx context.Context, s site, c load, d time.Duration) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	args := []string{"-t1", "-c" + strconv.Itoa(c.connections), "-d" + strconv.Itoa(int(d.Seconds())), "--latency"}
	if c.close {
		args = append(args, "-H", "Connection: close")
	}
	out, err := exec.CommandContext(ctx, "wrk", append(args, "http://"+s.Front+c.path)...).CombinedOutput()
	if err != nil {
		return r, fmt.Errorf("run wrk: %w: %s", err, out)
	}
	text := string(out)
	one := func(re *regexp.Regexp) string {
		if m := re.FindStringSubmatch(text); m != nil {
			return m[1]
		}
		return ""
	}
	r.requests, _ = strconv.Atoi(one(wrkRequests))
	r.rate, _ = strconv.ParseFloat(one(wrkRate), 64)
	r.errors, _ = strconv.Atoi(one(wrkStatus))
	if m := wrkErrors.FindStringSubmatch(text); m != nil {
		for _, n := range m[1:] {
			k, _ := strconv.Atoi(n)
			r.errors += k
		}
	}
	for _, m := range wrkQuantile.FindAllStringSubmatch(text, -1) {
		d, err := time.ParseDuration(m[2] + m[3])
		if err != nil {
			return r, err
		}
		if m[1] == "50" {
			r.p50 = d
		} else {
			r.p99 = d
		}
	}
	if r.requests == 0 {
		return r, fmt.Errorf("wrk got no answer: %s", text)
	}
	return r, nil
}

// machineTime is the CPU time that the machine has spent on anything.
func machineTime() (sum time.Duration) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line)[1:] {
		if i == 3 || i == 4 || i > 7 { // idle, iowait; guests are in user
			continue
		}
		n, _ := strconv.ParseInt(field, 10, 64)
		sum += time.Duration(n) * time.Second / 100
	}
	return sum
}
