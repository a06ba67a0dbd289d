package cli

import (
	"time"

	"lbctl/internal/lb"
)

// httpGrowth is what L7 has counted of requests, and how long those took that
// ended between two looks.
type httpGrowth struct {
	lb.HTTPStats
	Interval intervalLatency `json:"interval"`
}

type intervalLatency struct {
	FirstByte quantiles `json:"first_byte"`
	Whole     quantiles `json:"whole"`
}

type quantiles struct {
	Count uint64        `json:"count"`
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
}

func quantilesOf(was, is lb.Latency) quantiles {
	l := is.Since(was)
	return quantiles{l.Count, l.Quantile(0.5), l.Quantile(0.99)}
}

func httpGrowthOf(was, is *lb.HTTPStats) *httpGrowth {
	if is == nil {
		return nil
	}
	if was == nil {
		was = &lb.HTTPStats{}
	}
	return &httpGrowth{*is, intervalLatency{quantilesOf(was.FirstByte, is.FirstByte), quantilesOf(was.Whole, is.Whole)}}
}

// answers is a table of statuses and times.
func (g growth) answers(t *tableWriter) {
	if len(g.Services) == 0 || g.Services[0].HTTP == nil {
		return
	}
	t.line("")
	t.head("ANSWERS", "", "2XX", "3XX", "4XX", "5XX", "GONE", "EJECTED", "P50", "P99")
	for _, svc := range g.Services {
		t.row(svc.HTTP.cells(svc.Name, "")...)
		for _, b := range svc.Backends {
			t.row(b.HTTP.cells("", b.Name)...)
		}
	}
}

func (h *httpGrowth) cells(service, backend string) []any {
	if h == nil {
		return []any{service, backend}
	}
	p50, p99 := "-", "-"
	if q := h.Interval.Whole; q.Count > 0 {
		p50, p99 = latencyText(q.P50), latencyText(q.P99)
	}
	return []any{service, backend, h.Class(2), h.Class(3), h.Class(4), h.Class(5), h.ClientGone, h.Ejections, p50, p99}
}

// latencyText has two digits that mean something, as the histograms have.
func latencyText(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 100 {
		unit *= 10
	}
	return d.Round(unit).String()
}
