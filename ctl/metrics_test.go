package ctl

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"lbctl/internal/lb"
	"lbctl/internal/scoreboard"
	"lbctl/l7"
)

// scrape returns what GET /metrics says, and fails unless it is metrics.
func scrape(t *testing.T, f *fixture) string {
	t.Helper()
	r := ask(newAPI(f.Controller, func() {}), "GET", "/metrics", "")
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%s, %s: %s", r.Status, r.Header.Get("Content-Type"), body)
	}
	return string(body)
}

// counted makes the planes of a fixture say what a laboratory's would.
func counted(f *fixture) {
	f.l4.stats = func() (lb.Stats, error) {
		return lb.Stats{
			Services:   []lb.ServiceStats{{Name: "web-l4", Backends: []lb.BackendStats{{ID: 1, Name: "s1", Counters: lb.Counters{Connections: 3, PacketsIn: 40, BytesIn: 5000, Active: 2}}}}},
			Verdicts:   []lb.Verdict{{Name: "NEW_FLOW", Packets: 3}},
			FlowTables: []lb.FlowTable{{Family: "IPv4", Entries: 2, Size: 1024, Expired: 1}},
			Run:        lb.RunTime{Total: 1500 * time.Millisecond, Runs: 10},
		}, nil
	}
	latency := lb.Latency{Count: 3, Sum: 9 * time.Millisecond, Buckets: []lb.LatencyBucket{
		{From: 0, Below: 1 << 15, Count: 1}, {From: 1<<21 - 1<<17, Below: 1 << 21, Count: 1}, {From: 1 << 36, Below: lb.Longest, Count: 1},
	}}
	f.l7.stats = func() (lb.Stats, error) {
		return lb.Stats{
			Services: []lb.ServiceStats{{
				Name: "web-l7", Counters: lb.Counters{Requests: 4, Retries: 1, Active: 1}, HTTP: &lb.HTTPStats{Status: map[int]uint64{200: 3, 499: 1}, Whole: latency, FirstByte: latency, ClientGone: 1, Removed: 3, Queued: 2},
				Backends: []lb.BackendStats{{ID: 1, Name: "s1", Counters: lb.Counters{Requests: 5}, HTTP: &lb.HTTPStats{Status: map[int]uint64{200: 3}, Whole: latency, FirstByte: latency, Ejections: 1}}},
			}},
			Workers: map[string]int{"waiting": 2},
		}, nil
	}
}

func TestMetricsAreThoseOfThePlanes(t *testing.T) {
	f := newFixture(t, counted)
	f.configure(t, testConfig(1))
	f.settle(t)
	text := scrape(t, f)
	for _, want := range []string{
		`lbctl_backend_up{backend="s1",plane="l4",service="web-l4"} 1`,
		`lbctl_plane_up{plane="l7"} 1`,
		`lbctl_plane_applied_revision{node="",plane="l4"} `,
		`lbctl_l4_packets_total{backend="s1",direction="in",service="web-l4"} 40`,
		`lbctl_l4_verdict_packets_total{verdict="NEW_FLOW"} 3`,
		`lbctl_l4_flow_table_entries{family="IPv4"} 2`,
		`lbctl_l4_run_seconds_total 1.5`,
		`lbctl_l7_requests_total{code="200",service="web-l7"} 3`,
		`lbctl_l7_requests_total{code="499",service="web-l7"} 1`,
		`lbctl_l7_backend_requests_total{backend="s1",code="200",service="web-l7"} 3`,
		`lbctl_l7_request_duration_seconds_bucket{service="web-l7",le="3.2768e-05"} 1`,
		`lbctl_l7_request_duration_seconds_bucket{service="web-l7",le="0.001048576"} 1`,
		`lbctl_l7_request_duration_seconds_bucket{service="web-l7",le="0.002097152"} 2`,
		`lbctl_l7_request_duration_seconds_bucket{service="web-l7",le="68.719476736"} 2`,
		`lbctl_l7_request_duration_seconds_bucket{service="web-l7",le="+Inf"} 3`,
		`lbctl_l7_request_duration_seconds_sum{service="web-l7"} 0.009`,
		`lbctl_l7_backend_first_byte_seconds_count{backend="s1",service="web-l7"} 3`,
		`lbctl_l7_backend_ejections_total{backend="s1",service="web-l7"} 1`,
		`lbctl_l7_client_aborts_total{service="web-l7"} 1`,
		`lbctl_l7_proxy_aborts_total{service="web-l7"} 3`,
		`lbctl_l7_queued_requests{service="web-l7"} 2`,
		`lbctl_l7_workers{state="waiting"} 2`,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no line %s", want)
		}
	}
	if !regexp.MustCompile(`(?m)^lbctl_build_info\{goversion="go1[^"]*",lab="test",version="[^"]*"\} 1$`).MatchString(text) {
		t.Error("no build info")
	}
	problems, err := promlint.New(bytes.NewBufferString(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %+v", err, problems)
	}
}

func TestMetricsHaveTheModelAndWhatItsWorkersDo(t *testing.T) {
	plane := workingPlane{&fakePlane{name: lb.L7}, l7.Workers{
		Shape: lb.Shape{Model: lb.ModelLoop}, Events: "io_uring", Generation: 3, Started: 7, Died: 2,
		Processes: []l7.WorkerProcess{{State: "serving"}, {State: "serving"}, {State: "draining"}},
		Served:    scoreboard.Served{Requests: 10, BytesIn: 300, BytesOut: 5000}, CPU: 1500 * time.Millisecond, MasterCPU: 20 * time.Millisecond,
	}, nil}
	text := scrape(t, &fixture{Controller: working(t, plane)})
	for _, want := range []string{
		`lbctl_l7_info{events="io_uring",model="loop",node="lb2"} 1`,
		`lbctl_l7_worker_generation{model="loop",node="lb2"} 3`,
		`lbctl_l7_worker_processes{model="loop",node="lb2",state="starting"} 0`,
		`lbctl_l7_worker_processes{model="loop",node="lb2",state="serving"} 2`,
		`lbctl_l7_worker_processes{model="loop",node="lb2",state="draining"} 1`,
		`lbctl_l7_worker_starts_total{model="loop",node="lb2"} 7`,
		`lbctl_l7_worker_deaths_total{model="loop",node="lb2"} 2`,
		`lbctl_l7_cpu_seconds_total{model="loop",node="lb2",process="worker"} 1.5`,
		`lbctl_l7_cpu_seconds_total{model="loop",node="lb2",process="master"} 0.02`,
		`lbctl_l7_worker_requests_total{model="loop",node="lb2"} 10`,
		`lbctl_l7_worker_bytes_total{direction="in",model="loop",node="lb2"} 300`,
		`lbctl_l7_worker_bytes_total{direction="out",model="loop",node="lb2"} 5000`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if problems, err := promlint.New(bytes.NewBufferString(text)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %+v", err, problems)
	}
	plane.err = errInjected
	if text := scrape(t, &fixture{Controller: working(t, plane)}); strings.Contains(text, "lbctl_l7_info") {
		t.Errorf("of a proxy that does not answer: %s", text)
	}
}

func TestAPlaneThatIsSilentLeavesTheOthersMetrics(t *testing.T) {
	f := newFixture(t, counted)
	f.configure(t, testConfig(1))
	f.settle(t)
	f.l7.stats = func() (lb.Stats, error) { return lb.Stats{}, errInjected }
	text := scrape(t, f)
	if !strings.Contains(text, `lbctl_plane_up{plane="l7"} 0`) || strings.Contains(text, "lbctl_l7_") || !strings.Contains(text, "lbctl_l4_connections_total{") {
		t.Error(text)
	}
}

func TestMetricsOverTCPNeedTheToken(t *testing.T) {
	f := newFixture(t, nil)
	h := requireToken("secret", newAPI(f.Controller, func() {}))
	if r := ask(h, "GET", "/metrics", ""); r.StatusCode != 401 {
		t.Errorf("without: %s", r.Status)
	}
	if r := ask(h, "GET", "/metrics", "", "Authorization", "Bearer secret"); r.StatusCode != 200 {
		t.Errorf("with: %s", r.Status)
	}
}
