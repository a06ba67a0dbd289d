package ctl

import (
	"context"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lbctl/internal/lb"
)

// family is what Prometheus calls metrics of one name.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType // of a histogram it says nothing
}

// families are all there are, for Describe.
var families []*prometheus.Desc

func counter(name, help string, labels ...string) family {
	return describe(prometheus.CounterValue, name, help, labels)
}

func gauge(name, help string, labels ...string) family {
	return describe(prometheus.GaugeValue, name, help, labels)
}

func histogram(name, help string, labels ...string) family {
	return describe(prometheus.UntypedValue, name, help, labels)
}

func describe(kind prometheus.ValueType, name, help string, labels []string) family {
	f := family{prometheus.NewDesc("lbctl_"+name, help, labels, nil), kind}
	families = append(families, f.desc)
	return f
}

var (
	buildInfo    = gauge("build_info", "What this daemon is; always 1.", "version", "goversion", "lab")
	startTime    = gauge("start_time_seconds", "When this daemon began, in Unix time.")
	revision     = gauge("revision", "Revision of the desired configuration.")
	planeUp      = gauge("plane_up", "Whether the plane told its counters.", "plane")
	planeApplied = gauge("plane_applied_revision", "Revision that the plane forwards by.", "plane", "node")
	planeFailed  = counter("plane_apply_failures_total", "Attempts of the plane to take a revision that failed.", "plane", "node")
	backendUp    = gauge("backend_up", "Whether the backend's check found it up.", "plane", "service", "backend")
	backendUsed  = gauge("backend_eligible", "Whether the backend is chosen for anything new.", "plane", "service", "backend")
	backendShare = gauge("backend_weight", "Weight of the backend.", "plane", "service", "backend")
)

// collector reads the planes' counters when Prometheus asks for them.
type collector struct{ controller *Controller }

// newMetrics returns what answers GET /metrics.
func newMetrics(c *Controller) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{c})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
}

// Describe implements prometheus.Collector.
func (collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range families {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := sink(to)
	stats, v := c.controller.Stats(context.Background()), c.controller.latest.Load()
	version := c.controller.Version()
	s.put(buildInfo, 1, version.Version, version.Go, version.Lab)
	s.put(startTime, float64(version.StartedAt.UnixNano())/1e9)
	s.put(revision, float64(v.revision))
	for _, p := range c.controller.planes() {
		s.put(planeApplied, float64(p.Applied), string(p.Name), p.Node)
		s.put(planeFailed, float64(p.Failures), string(p.Name), p.Node)
	}
	for _, svc := range v.services(stats) {
		for _, b := range svc.Backends {
			labels := []string{string(svc.Plane), svc.Name, b.Name}
			s.put(backendUp, truth(b.Health == lb.Up), labels...)
			s.put(backendUsed, truth(b.Eligible()), labels...)
			s.put(backendShare, float64(b.Weight), labels...)
		}
	}
	for _, p := range stats.Planes {
		s.put(planeUp, truth(p.Error == ""), string(p.Plane))
		switch {
		case p.Error != "":
		case p.Plane == lb.L4:
			s.l4(p.Stats)
		default:
			s.l7(p.Stats)
		}
	}
	for _, w := range c.controller.Workers(context.Background()) {
		if w.Error == "" {
			s.workers(w)
		}
	}
}

// sink takes metrics.
type sink chan<- prometheus.Metric

func (s sink) put(f family, value float64, labels ...string) {
	m, err := prometheus.NewConstMetric(f.desc, f.kind, value, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(f.desc, err)
	}
	s <- m
}

func (s sink) count(f family, n uint64, labels ...string) { s.put(f, float64(n), labels...) }

// histogram puts a latency's counts into buckets of powers of two, which are bounds
// of its own as well, so no count is on the wrong side.
func (s sink) histogram(f family, l lb.Latency, labels ...string) {
	buckets := make(map[float64]uint64, len(bounds))
	n, at := uint64(0), 0
	for _, bound := range bounds {
		for ; at < len(l.Buckets) && l.Buckets[at].Below <= bound; at++ {
			n += l.Buckets[at].Count
		}
		buckets[bound.Seconds()] = n
	}
	m, err := prometheus.NewConstHistogram(f.desc, l.Count, l.Sum.Seconds(), buckets, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(f.desc, err)
	}
	s <- m
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func code(status int) string { return strconv.Itoa(status) }
