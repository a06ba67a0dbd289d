package main

import (
	"testing"
	"time"
)

// What an arm adds is counted from direct in the same round, and set against
// what IPVS adds: once by the medians, and in each round for the spread.
func TestReportComparesWhatIsAdded(t *testing.T) {
	var r Result
	for round, costs := range []map[string]int{
		{direct: 1000, "ipvs dr": 1100, "ours dr tcx": 1050},
		{direct: 1010, "ipvs dr": 1110, "ours dr tcx": 1070},
		{direct: 1000, "ipvs dr": 1120, "ours dr tcx": 1048},
	} {
		for name, cost := range costs {
			idle := 7 * time.Millisecond // in which nothing is executed
			r.Runs = append(r.Runs, Run{
				Arm: name, KeepAlive: true, Round: round + 1, Requests: 10, Idle: idle,
				Elapsed: time.Duration(cost)*10*instruction + idle, Servers: map[string]uint64{"s0": 5, "s1": 5},
			})
		}
	}
	want := map[string]Row{
		direct:        {PerRequest: 1000},
		"ipvs dr":     {PerRequest: 1110, Added: 100, Lowest: 100, Highest: 120},
		"ours dr tcx": {PerRequest: 1050, Added: 50, Lowest: 48, Highest: 60, OfIPVS: 0.5, Least: 0.4, Most: 0.6},
	}
	rows := r.report().Rows
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(rows), len(want))
	}
	for _, got := range rows {
		w := want[got.Arm]
		if got.PerRequest != w.PerRequest || got.Added != w.Added || got.Lowest != w.Lowest || got.Highest != w.Highest ||
			got.OfIPVS != w.OfIPVS || got.Least != w.Least || got.Most != w.Most {
			t.Errorf("%s:\n got %+v\nwant %+v", got.Arm, got, w)
		}
	}
}
