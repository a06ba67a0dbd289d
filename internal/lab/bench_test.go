package lab

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"lbctl/internal/scenario"
)

// BenchmarkLabOf200Servers reports how long each step of a lab's life takes;
// LBCTL_BENCH_LOG=1 also shows the phases of up.
func BenchmarkLabOf200Servers(b *testing.B) {
	spec, err := scenario.Parse("big.yaml", []byte("name: big\nservers: 200\nservices: {web: {plane: l4}}\n"))
	if err != nil {
		b.Fatal(err)
	}
	big, err := spec.Resolve()
	if err != nil {
		b.Fatal(err)
	}
	o := Options{Dir: b.TempDir()}
	if os.Getenv("LBCTL_BENCH_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	var total [3]time.Duration
	var changes []Change
	for b.Loop() {
		for i, do := range []func() error{
			func() (err error) { _, changes, err = Up(b.Context(), o, big.Topology); return err },
			func() (err error) { _, _, err = Up(b.Context(), o, big.Topology); return err },
			func() error { return Down(b.Context(), o, "big") },
		} {
			start := time.Now()
			if err := do(); err != nil {
				b.Fatal(err)
			}
			total[i] += time.Since(start)
		}
	}
	b.ReportMetric(float64(len(changes)), "changes")
	for i, name := range []string{"up-ms", "second-up-ms", "down-ms"} {
		b.ReportMetric(float64(total[i].Milliseconds())/float64(b.N), name)
	}
}
