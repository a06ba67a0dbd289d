package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"lbctl/ctl"
	"lbctl/internal/lb"
	"lbctl/internal/scoreboard"
	"lbctl/l7"
)

func threads(states string) (all []l7.WorkerThread) {
	for _, s := range states {
		all = append(all, l7.WorkerThread{State: string(s)})
	}
	return all
}

func TestAScoreboardIsDrawnInApachesLetters(t *testing.T) {
	plane := ctl.PlaneWorkers{Node: "lb2", Master: 100, Workers: l7.Workers{
		Served: scoreboard.Served{Requests: 1200, BytesOut: 3 << 20}, CPU: 8 * time.Second,
		Shape: lb.Shape{Model: lb.ModelEvent, Threads: 4, Processes: 2}, Generation: 3, Died: 1,
		Processes: []l7.WorkerProcess{
			{PID: 101, Generation: 3, State: "serving", Age: 61 * time.Second, Connections: 9, Held: 6, Served: scoreboard.Served{Requests: 1000, BytesOut: 1023 << 10}, CPU: 4321 * time.Millisecond, Threads: threads("WR_K")},
			{PID: 102, Generation: 2, State: "draining", Age: time.Hour, Connections: 1, Threads: threads("GIII")},
		},
		Deaths: []l7.WorkerDeath{{PID: 90, Lived: 5 * time.Second, Reason: "signal: segmentation fault", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}},
	}}
	boards := boardsOf([]ctl.PlaneWorkers{plane})
	want := boardTotals{Processes: 2, Threads: 8, Busy: 4, Idle: 4, Connections: 10, Held: 6}
	if diff := cmp.Diff(want, boards[0].Totals); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	var out bytes.Buffer
	table := &tableWriter{}
	boardTables(table, &session{name: "x"}, boards, false)
	if err := table.flush(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"balancer x on lb2: model event, at most 2 processes of 4 threads",
		"master 100, generation 3, died unasked 1",
		"busy 4, idle 4 of 8 threads in 2 processes; 10 connections, 6 held",
		"1200 requests, 3 MiB sent; CPU 8s",
		"WR_K GIII",
		"101  3    serving   1m1s  9      6     1000      1023 KiB  4.32s  3/4",
		"03:04:05  90   5s     no     signal: segmentation fault",
	} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}

func TestALongBoardIsBrokenIntoLinesAndItsProcessesAreSummedUp(t *testing.T) {
	plane := ctl.PlaneWorkers{Workers: l7.Workers{Shape: lb.Shape{Model: lb.ModelPrefork}}}
	for range 130 {
		plane.Processes = append(plane.Processes, l7.WorkerProcess{State: "serving", Threads: threads("_")})
	}
	boards := boardsOf([]ctl.PlaneWorkers{plane})
	if lines := letters(boards[0]); len(lines) != 3 || len(lines[0]) != boardWidth || lines[2] != "__" {
		t.Errorf("letters: %q", lines)
	}
	var out bytes.Buffer
	table := &tableWriter{}
	processTable(table, boards[0], false)
	_ = table.flush(&out)
	if !strings.Contains(out.String(), "and 114 more; --all lists them") {
		t.Errorf("the list of processes:\n%s", out.String())
	}
}

func TestABoardFitsATerminal(t *testing.T) {
	for _, model := range lb.Models {
		process := l7.WorkerProcess{
			PID: 4194303, Generation: 999, State: "starting", Age: 47*time.Hour + 59*time.Minute, Connections: 10_000, Held: 9999,
			Served: scoreboard.Served{Requests: 1e9, BytesOut: 1 << 40}, CPU: 59_990 * time.Millisecond, Threads: threads(strings.Repeat("W", 25)),
		}
		w := l7.Workers{
			Shape: lb.Shape{Model: model}, Loop: "io_uring: Linux 6.12 has what it takes, and a trial of 12 operations on it has come out right", Generation: 999,
			Served: process.Served, CPU: process.CPU, Processes: []l7.WorkerProcess{process, process, process, process},
		}
		table := &tableWriter{}
		boardTables(table, &session{name: "a-balancer-of-a-long-name"}, boardsOf([]ctl.PlaneWorkers{{Node: "lb1", Master: 4194303, Workers: w}}), false)
		var out bytes.Buffer
		if err := table.flush(&out); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > screenWidth {
				t.Errorf("%s: a line of %d columns: %s", model, n, line)
			}
		}
	}
}

func TestAReloadIsDoneWhenAllOthersDrain(t *testing.T) {
	before := ctl.PlaneWorkers{Workers: l7.Workers{Generation: 1}}
	for _, c := range []struct {
		generation uint64
		old        string // state of a process of generation 1
		want       bool
	}{{1, "serving", false}, {2, "serving", false}, {2, "draining", true}} {
		now := ctl.PlaneWorkers{Workers: l7.Workers{Generation: c.generation, Processes: []l7.WorkerProcess{
			{Generation: 1, State: c.old}, {Generation: c.generation, State: "serving"},
		}}}
		if got := reloaded(before, now); got != c.want {
			t.Errorf("generation %d, the old one %s: %v", c.generation, c.old, got)
		}
	}
}

func TestMemoryIsReadFromTheKernelsSum(t *testing.T) {
	const rollup = "00400000-7ffd000 ---p 00000000 00:00 0    [rollup]\nRss:               16132 kB\nPss:                5530 kB\nPss_Dirty:          4000 kB\n"
	if got, want := parseRollup([]byte(rollup)), (memory{RSS: 16132 << 10, PSS: 5530 << 10}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAShapeIsToldByWhatDiffersFromItsModel(t *testing.T) {
	for want, s := range map[string]lb.Shape{
		"loop":                           {},
		"event":                          {Model: lb.ModelEvent, Threads: 25},
		"event, threads 8":               {Model: lb.ModelEvent, Threads: 8},
		"loop, log_level debug":          {Model: lb.ModelLoop, LogLevel: "debug"},
		"prefork, start 6, max_spare 20": {Model: lb.ModelPrefork, Start: 6, MaxSpare: 20},
		"loop, drain_timeout 5m0s":       {DrainTimeout: 5 * time.Minute},
	} {
		if got := shapeText(s); got != want {
			t.Errorf("%+v is %q, want %q", s, got, want)
		}
	}
}
