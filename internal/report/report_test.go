package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lbctl/internal/lb"
	"lbctl/internal/traffic"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// model is a machine with noise in it: its speed drifts, and each run has its own luck.
type model struct {
	r                    *rand.Rand
	drift                float64
	driftSD, stay, runSD float64
}

// next returns the log of the machine's speed during the next run: drift follows a
// first-order autoregression, and one run in thirty is disturbed.
func (m *model) next() float64 {
	m.drift = m.stay*m.drift + math.Sqrt(1-m.stay*m.stay)*m.driftSD*m.r.NormFloat64()
	x := m.drift + m.runSD*m.r.NormFloat64()
	if m.r.Float64() < 0.03 {
		x -= 0.15 * m.r.Float64()
	}
	return x
}

// fixture measures services of given CPU costs (µs per request, direct first) on
// a saturated model machine of two cores. It takes the order of runs from Compare itself.
func fixture(t testing.TB, rounds int, noise *model, cost map[string]float64, services ...lb.Service) *traffic.Measurement {
	t.Helper()
	at := []netip.AddrPort{netip.MustParseAddrPort("198.18.4.1:80"), netip.MustParseAddrPort("198.18.4.2:80"), netip.MustParseAddrPort("198.18.4.3:80")}
	plan := traffic.Plan{Name: "l4-vs-l7", Rounds: rounds, Arms: []traffic.Arm{{Name: "direct", Direct: true, Targets: at}}}
	for _, s := range services {
		plan.Arms = append(plan.Arms, traffic.Arm{Name: s.Name, Targets: at[:1], Service: s})
	}
	plan.Workloads = []traffic.Workload{{Name: "keepalive", Connections: 64, KeepAlive: true, Path: "/", Duration: 2 * time.Second, Warmup: time.Second, Timeout: time.Second}}
	fork := func(context.Context, traffic.Load, func(traffic.Event)) (traffic.Result, error) {
		return traffic.Result{}, nil
	}
	m, err := traffic.Compare(t.Context(), plan, traffic.Probes{Fork: fork}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Runs {
		fill(&m.Runs[i], cost[m.Runs[i].Arm], noise)
	}
	return m
}

func fill(r *traffic.Run, cost float64, noise *model) {
	us := cost * math.Exp(-noise.next())
	n := uint64(4e6 / us) // two cores for two seconds
	r.Warnings = nil
	r.Result = traffic.Result{
		Requests: n, Answered: n, Elapsed: 2 * time.Second, CPU: time.Duration(n) * 7 * time.Microsecond, Procs: 2,
		Errors: map[string]uint64{}, Servers: map[string]uint64{"s1": n / 2, "s2": n / 4, "s3": n - n/2 - n/4},
	}
	for i := range 100 {
		r.Result.Latency.Record(time.Duration(us*32*(1+float64(i)/50)) * time.Microsecond)
	}
	r.CPU = traffic.CPU{
		Elapsed: 2 * time.Second, Busy: 4 * time.Second,
		Groups: map[string]time.Duration{"servers": time.Duration(n) * 8 * time.Microsecond},
	}
}

func backends(weights ...uint32) []lb.Backend {
	var bs []lb.Backend
	for i, w := range weights {
		bs = append(bs, lb.Backend{Name: fmt.Sprintf("s%d", i+1), Weight: w, Health: lb.Up})
	}
	return bs
}

func golden(t testing.TB) *traffic.Measurement {
	m := fixture(t, 4, &model{r: rand.New(rand.NewPCG(1, 2)), driftSD: 0.05, stay: 0.9, runSD: 0.02},
		map[string]float64{"direct": 24, "web-l4": 27, "web-l7": 66},
		lb.Service{Name: "web-l4", Plane: lb.L4, Policy: lb.Maglev, Forward: lb.DirectRouting, Backends: backends(2, 1, 1)},
		lb.Service{Name: "web-l7", Plane: lb.L7, Policy: lb.WeightedRoundRobin, Backends: backends(2, 1, 1)})
	m.Started = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	m.Finished = m.Started.Add(74 * time.Second)
	m.Conditions = traffic.Conditions{
		Lbctl: "v0.1", BPFStats: true, OffloadsOff: []string{"tx-checksum"}, Date: m.Started, Kernel: "6.18.44", CPUModel: "AMD EPYC", Cores: 2,
		Memory: 4 << 30, Go: "go1.26.8", Mitigation: []string{"spectre_v2: Retpolines"}, Order: m.Conditions.Order,
	}
	for i := range m.Runs {
		r := &m.Runs[i]
		r.Start = m.Started
		n := r.Result.Requests
		switch r.Arm {
		case "web-l4":
			r.Plane = traffic.Counted{Service: lb.ServiceStats{Name: r.Arm, Counters: lb.Counters{PacketsIn: 2 * n, BytesIn: 190 * n}}, Run: lb.RunTime{Runs: 2 * n, Total: time.Duration(180 * n)}}
		case "web-l7":
			r.Plane.Service.Counters = lb.Counters{Requests: n, BytesIn: 80 * n, BytesOut: 1200 * n}
			r.CPU.Groups["l7"] = time.Duration(n) * 40 * time.Microsecond
		}
	}
	m.Runs[2].Result.Errors["timeout"] = 3
	return m
}

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update rewrites it); got:\n%s", name, got)
	}
}

func TestTableIsAsItWas(t *testing.T) {
	var b bytes.Buffer
	if err := Analyze(golden(t)).WriteTable(&b, false); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "table.txt", b.Bytes())
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 120 {
			t.Errorf("line of %d columns: %s", n, line)
		}
	}
	var c bytes.Buffer
	if err := Analyze(golden(t)).WriteTable(&c, true); err != nil || !strings.Contains(c.String(), string(green)) || strings.Contains(b.String(), "\x1b") {
		t.Errorf("colour is where it should not be, or not where it should: %v", err)
	}
}

func TestJSONIsAsItWas(t *testing.T) {
	var b bytes.Buffer
	if err := Analyze(golden(t)).WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "report.json", b.Bytes())
}

func TestMeasurementSurvivesTheDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	m := golden(t)
	m.Plan.Name = "../l4 vs l7"
	first, err := Save(dir, m)
	if err != nil || filepath.Base(first) != "2026-07-01T120000Z-___l4_vs_l7.json" {
		t.Fatal(first, err)
	}
	second, err := Save(dir, m)
	if err != nil || filepath.Base(second) != "2026-07-01T120000Z-___l4_vs_l7-2.json" {
		t.Fatal(second, err)
	}
	back, err := Load(first)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(Analyze(m))
	b, _ := json.Marshal(Analyze(back))
	if !bytes.Equal(a, b) {
		t.Errorf("the report of what was loaded differs:\n%s\n%s", a, b)
	}
	if files, _ := os.ReadDir(dir); len(files) != 2 {
		t.Errorf("left behind: %v", files)
	}
	other := filepath.Join(dir, "other.json")
	if err := os.WriteFile(other, []byte(`{"schema": 99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(other); !errors.Is(err, ErrSchema) {
		t.Errorf("schema 99: %v", err)
	}
}
