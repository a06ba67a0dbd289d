package traffic

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func testPlan(rounds int, services ...string) Plan {
	at := []netip.AddrPort{netip.MustParseAddrPort("198.18.3.1:80")}
	p := Plan{Name: "test", Rounds: rounds, Arms: []Arm{{Name: "direct", Direct: true, Targets: at}}}
	for _, s := range services {
		p.Arms = append(p.Arms, Arm{Name: s, Targets: at, Service: lb.Service{Name: s, Plane: lb.L4}})
	}
	for _, w := range []string{"keep", "connect"} {
		p.Workloads = append(p.Workloads, Workload{Name: w, Connections: 4, Path: "/", Duration: 2 * time.Second, Warmup: time.Second})
	}
	return p
}

// fakeFork answers at once, as a generator with both events would.
func fakeFork(_ context.Context, _ Load, event func(Event)) (Result, error) {
	event(Measuring)
	event(Measured)
	return Result{Requests: 10, Answered: 10, Elapsed: time.Second}, nil
}

func letters(runs []Run, workload string) string {
	var b strings.Builder
	for _, r := range runs {
		if r.Workload == workload {
			b.WriteByte(r.Arm[0])
		}
	}
	return b.String()
}

func TestCompareInterleavesItsArms(t *testing.T) {
	var steps []Progress
	m, err := Compare(t.Context(), testPlan(2, "A", "B"), Probes{Fork: fakeFork}, func(p Progress) { steps = append(steps, p) })
	if err != nil || m.Incomplete != "" {
		t.Fatal(err, m)
	}
	for _, w := range []string{"keep", "connect"} {
		if got := letters(m.Runs, w); got != "dABBAd"+"dBAABd" {
			t.Errorf("%s ran in the order %s", w, got)
		}
	}
	halves := map[[2]int]string{}
	for _, r := range m.Runs {
		if r.Workload == "keep" {
			halves[[2]int{r.Round, r.Half}] += r.Arm[:1]
		}
	}
	if len(halves) != 4 || halves[[2]int{1, 2}] != "BAd" || halves[[2]int{2, 1}] != "dBA" {
		t.Errorf("halves: %v", halves)
	}
	if len(steps) != 25 || steps[0].Total != 24 || steps[0].Left != 72*time.Second || steps[24].Done != 24 || steps[24].Left != 0 || steps[1].Last == nil {
		t.Errorf("progress: %d steps, %+v … %+v", len(steps), steps[0], steps[len(steps)-1])
	}
	if c := m.Conditions; c.Kernel == "" || c.Cores == 0 || c.Memory == 0 || c.Order != "direct A B | B A direct, every second round with the services swapped" {
		t.Errorf("conditions: %+v", c)
	}
}

func TestCompareOfThreeServicesIsAPalindrome(t *testing.T) {
	m, err := Compare(t.Context(), testPlan(2, "A", "B", "C"), Probes{Fork: fakeFork}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := letters(m.Runs, "keep"); got != "dABCCBAd"+"dCBAABCd" {
		t.Errorf("order is %s", got)
	}
}

func TestCompareSurvivesAFailedRun(t *testing.T) {
	n := 0
	fork := func(ctx context.Context, l Load, e func(Event)) (Result, error) {
		if n++; n == 3 {
			return Result{}, errors.New("no such luck")
		}
		return fakeFork(ctx, l, e)
	}
	m, err := Compare(t.Context(), testPlan(1, "A", "B"), Probes{Fork: fork}, nil)
	if err != nil || len(m.Runs) != 12 || m.Runs[2].Error != "no such luck" || m.Runs[3].Error != "" || m.Incomplete != "" {
		t.Errorf("%v, %+v", err, m)
	}
}

func TestCompareKeepsWhatItHasWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	fork := func(ctx context.Context, l Load, e func(Event)) (Result, error) {
		if n++; n == 6 {
			cancel()
			return Result{}, ctx.Err()
		}
		return fakeFork(ctx, l, e)
	}
	m, err := Compare(ctx, testPlan(3, "A", "B"), Probes{Fork: fork}, nil)
	if !errors.Is(err, context.Canceled) || m == nil || len(m.Runs) != 5 || !strings.HasPrefix(m.Incomplete, "stopped after 5 of 36 runs") {
		t.Errorf("%v, %+v", err, m)
	}
}

func TestCompareSubtractsCounters(t *testing.T) {
	calls := uint64(0)
	stats := func(context.Context) (map[lb.Plane]lb.Stats, error) {
		calls++
		n := calls * 10
		s := lb.ServiceStats{Name: "A", Counters: lb.Counters{BytesIn: n, PacketsIn: 2 * n, Active: 7}}
		s.Backends = []lb.BackendStats{{ID: 1, Name: "s1", Counters: lb.Counters{Connections: n}}}
		return map[lb.Plane]lb.Stats{
			lb.L4: {Services: []lb.ServiceStats{s}, Run: lb.RunTime{Total: time.Duration(n), Runs: n}, Verdicts: []lb.Verdict{{Name: "SENT", Packets: n}, {Name: "NEVER"}}},
			lb.L7: {},
		}, nil
	}
	groups := func() map[string][]int { return map[string][]int{"self": {os.Getpid()}, "gone": {1 << 30}} }
	m, err := Compare(t.Context(), testPlan(1, "A"), Probes{Fork: fakeFork, Stats: stats, Groups: groups}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := m.Runs[1]
	c := got.Plane.Service.Counters
	if c.BytesIn != 10 || c.PacketsIn != 20 || c.Active != 7 || got.Plane.Service.Backends[0].Counters.Connections != 10 || got.Plane.Run.Runs != 10 || len(got.Plane.Verdicts) != 1 {
		t.Errorf("plane: %+v", got.Plane)
	}
	if direct := m.Runs[0]; direct.Plane.Service.Name != "" || direct.Plane.Run.Runs != 10 {
		t.Errorf("direct: %+v", direct.Plane)
	}
	if _, ok := got.CPU.Groups["self"]; !ok || got.CPU.Elapsed <= 0 || len(got.Warnings) != 0 {
		t.Errorf("CPU %+v, warnings %v", got.CPU, got.Warnings)
	}
}

func TestCompareSaysWhenAPlaneStartedAnew(t *testing.T) {
	n := uint64(100)
	stats := func(context.Context) (map[lb.Plane]lb.Stats, error) {
		n--
		return map[lb.Plane]lb.Stats{lb.L4: {Run: lb.RunTime{Runs: n}}}, nil
	}
	m, err := Compare(t.Context(), testPlan(1, "A"), Probes{Fork: fakeFork, Stats: stats}, nil)
	if err != nil || len(m.Runs[0].Warnings) != 1 || m.Runs[0].Plane.Run.Runs != 0 {
		t.Errorf("%v, %+v", err, m.Runs[0])
	}
}

func TestCompareRefusesBadPlans(t *testing.T) {
	for name, spoil := range map[string]func(*Plan){
		"no service":           func(p *Plan) { p.Arms = p.Arms[:1] },
		"no direct arm":        func(p *Plan) { p.Arms = p.Arms[1:] },
		"two direct arms":      func(p *Plan) { p.Arms[1].Direct = true },
		"a name taken twice":   func(p *Plan) { p.Arms[2].Name = "A" },
		"no workload":          func(p *Plan) { p.Workloads = nil },
		"a workload twice":     func(p *Plan) { p.Workloads[1].Name = "keep" },
		"no rounds":            func(p *Plan) { p.Rounds = 0 },
		"a target of somebody": func(p *Plan) { p.Arms[1].Targets = []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:80")} },
		"an endless workload":  func(p *Plan) { p.Workloads[0].Duration = 0 },
	} {
		p := testPlan(1, "A", "B")
		if spoil(&p); p.check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
