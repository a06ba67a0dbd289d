package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

// counted is what two planes have counted at that second, packets per backend each.
func counted(second int, packets uint64, runs uint64) ctl.Stats {
	l4 := lb.Stats{
		Revision: 3,
		Services: []lb.ServiceStats{{
			Name: "web", Counters: lb.Counters{Connections: packets / 10, PacketsIn: packets, BytesIn: 100 * packets, Active: 2},
			Backends: []lb.BackendStats{{ID: 1, Name: "s1", Counters: lb.Counters{Connections: packets / 10, PacketsIn: packets, BytesIn: 100 * packets, Active: 2}}},
		}},
		Verdicts: []lb.Verdict{{Name: "KNOWN_FLOW", Text: "forwarded", Packets: packets}, {Name: "LAND", Text: "dropped"}},
		Run:      lb.RunTime{Total: time.Duration(150 * runs), Runs: runs},
		FlowTables: []lb.FlowTable{
			{Family: "IPv4", Entries: 512, Size: 1024, Expired: 7}, {Family: "IPv6", Size: 1024},
		},
	}
	l7 := lb.Stats{Services: []lb.ServiceStats{{Name: "app", Counters: lb.Counters{Requests: 5 * packets, Errors: 1, Queued: 4}, Backends: []lb.BackendStats{{ID: 1, Name: "s1"}}}}}
	return ctl.Stats{At: time.Unix(int64(second), 0), Planes: []ctl.PlaneStats{{Plane: lb.L4, Stats: l4}, {Plane: lb.L7, Stats: l7}}}
}

func TestTopSaysWhatWaitsForABackend(t *testing.T) {
	var out strings.Builder
	table := &tableWriter{}
	topTable(table, glance{stats: counted(10, 1000, 0)}, glance{stats: counted(12, 3000, 2000)})
	_ = table.flush(&out)
	for _, want := range []string{"ACTIVE QUEUED CONN/s", "app 0 4 0 5000", "s1 unknown enabled 0 0 0"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	js, err := json.Marshal(growthOf(counted(10, 1000, 0), counted(12, 3000, 2000))[1])
	if err != nil || !strings.Contains(string(js), `"queued":4`) {
		t.Errorf("%s, %v", js, err)
	}
}

func TestCountersOfZeroAreInTheJSON(t *testing.T) {
	js, err := json.Marshal(growth{Services: []serviceGrowth{{HTTP: &httpGrowth{}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"connections", "requests", "packets_in", "bytes_in", "packets_out", "bytes_out", "errors", "retries", "active", "queued", "inactive", "sticky",
		"client_gone", "broken", "timed_out", "ejections", "unlogged",
	} {
		if !strings.Contains(string(js), `"`+name+`":0`) {
			t.Errorf("no %s in %s", name, js)
		}
	}
}

func (g growth) said(all bool) string {
	var out strings.Builder
	t := &tableWriter{}
	g.table(t, all)
	_ = t.flush(&out)
	return out.String()
}

func TestStatsSayTotalsAndRates(t *testing.T) {
	planes := growthOf(counted(10, 1000, 0), counted(12, 3000, 2000))
	got := planes[0].said(false) + planes[1].said(false)
	want := `plane l4
flow table IPv4 512 of 1024 (50.0 %), 7 expired since the daemon began
flow table IPv6 0 of 1024 (0.0 %), 0 expired since the daemon began
run time: 150 ns per packet, by the kernel's account of 2000 runs
TOTAL      CONNS  PKTS IN  IN       PKTS OUT  OUT  ACTIVE  INACTIVE  STICKY
web        300    3000     293 KiB  0         0 B  2       0         0
       s1  300    3000     293 KiB  0         0 B  2       0         0

PER SECOND      CONNS  PKTS IN  IN        PKTS OUT  OUT
web             100    1000     97.7 KiB  0         0 B
            s1  100    1000     97.7 KiB  0         0 B

VERDICT     PACKETS  PER SECOND  MEANING
KNOWN_FLOW  3000     1000        forwarded

plane l7
TOTAL  REQUESTS  CONNS  IN   OUT  ERRORS  RETRIES  ACTIVE  QUEUED
app    15000     0      0 B  0 B  1       0        0       4
  s1   0         0      0 B  0 B  0       0        0

PER SECOND    REQUESTS  CONNS  IN   OUT  ERRORS  RETRIES
app           5000      0      0 B  0 B  0       0
  s1          0         0      0 B  0 B  0       0

`
	clean := func(s string) string {
		var lines []string
		for line := range strings.Lines(s) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.Join(lines, "\n")
	}
	if clean(got) != clean(want) {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
	if all := planes[0].said(true); !strings.Contains(all, "LAND") {
		t.Errorf("with all verdicts:\n%s", all)
	}
}

func TestStatsSayWhyThereIsNoRunTime(t *testing.T) {
	for name, c := range map[string]struct {
		before, now ctl.Stats
		want        string
	}{
		"statistics are off":     {counted(1, 10, 0), counted(2, 20, 0), "not measured, the kernel's BPF statistics are off"},
		"they were on before":    {counted(1, 10, 5), counted(2, 20, 5), "not measured, the kernel's BPF statistics are off"},
		"nothing came":           {counted(1, 10, 0), counted(2, 10, 0), "no packet came"},
		"the program is another": {counted(1, 10, 9), counted(2, 20, 3), "not measured"},
	} {
		if got := growthOf(c.before, c.now)[0].Run.text(); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A plane that was loaded anew counts from zero, a service that is new from nothing.
func TestRatesAreNeverBelowZero(t *testing.T) {
	for name, before := range map[string]ctl.Stats{"anew": counted(1, 1<<40, 0), "no plane before": {At: time.Unix(1, 0)}} {
		g := growthOf(before, counted(2, 100, 0))[0]
		want := map[string]float64{"anew": 0, "no plane before": 100}[name]
		if got := g.Services[0].Backends[0].Rates.PacketsIn; got != want {
			t.Errorf("%s: %v packets per second, want %v", name, got, want)
		}
	}
}
