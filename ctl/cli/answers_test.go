package cli

import (
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// answered is what L7 says after so many requests, each of which took 2 ms but the last.
func answered(second int, n uint64) *lb.HTTPStats {
	return &lb.HTTPStats{
		Status: map[int]uint64{200: n - 1, 404: 2, 503: 1}, ClientGone: 3, Ejections: 1,
		Whole: lb.Latency{Count: n, Buckets: []lb.LatencyBucket{{From: 1900 * time.Microsecond, Below: 2100 * time.Microsecond, Count: n - 1}, {From: time.Second, Below: 1234 * time.Millisecond, Count: 1}}},
	}
}

func TestStatsOfL7SayStatusesAndTimes(t *testing.T) {
	before, now := counted(10, 1000, 0), counted(11, 2000, 0)
	for second, stats := range []*lb.ServiceStats{&before.Planes[1].Services[0], &now.Planes[1].Services[0]} {
		n := uint64(10 + 90*second)
		stats.HTTP = answered(second, n)
		stats.Backends = []lb.BackendStats{{ID: 1, Name: "s1", HTTP: answered(second, n)}, {ID: 2, Name: "s2", HTTP: &lb.HTTPStats{}}}
	}
	got := growthOf(before, now)[1].said(false)
	const want = `
ANSWERS      2XX  3XX  4XX  5XX  GONE  EJECTED  P50  P99
app          99   0    2    1    3     1        2ms  2ms
         s1  99   0    2    1    3     1        2ms  2ms
         s2  0    0    0    0    0     0        -    -
`
	if !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
	for d, want := range map[time.Duration]string{1234567: "1.2ms", 98765: "99µs", 123456: "120µs", 61234567890: "1m1s", 512: "510ns"} {
		if got := latencyText(d); got != want {
			t.Errorf("%d ns is %s, want %s", d, got, want)
		}
	}
}
