package balance

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// Latencies of equals differ by chance, and who had a peak gets less for a while. In the
// long run that is each one's turn.
func TestNoisyEqualsGetTheSameInTheLongRun(t *testing.T) {
	const (
		clients = 32      // that ask again when they have their answer
		n       = 200_000 // requests, in some 125 s
		usual   = 20 * time.Millisecond
	)
	for name, took := range map[string]func(r *rand.Rand, stands *int64, now int64) time.Duration{
		"sigma of 30 %": func(r *rand.Rand, _ *int64, _ int64) time.Duration {
			return time.Duration(float64(usual) * math.Exp(0.3*r.NormFloat64()))
		},
		"one in a hundred takes four times as long": func(r *rand.Rand, _ *int64, _ int64) time.Duration {
			if r.IntN(100) == 0 {
				return 4 * usual
			}
			return usual
		},
		"each stands still for 100 ms now and then": func(r *rand.Rand, stands *int64, now int64) time.Duration {
			if *stands < now && r.IntN(500) == 0 {
				*stands = now + int64(100*time.Millisecond)
			}
			return usual + time.Duration(max(*stands-now, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var w words
			p := mustNew(t, service(lb.PeakEWMA, equals(5)), &w)
			r := rand.New(rand.NewPCG(1, 2))
			var stands [6]int64
			var requests [clients]struct {
				id          lb.BackendID
				began, ends int64
			}
			now := 1000 * second
			ask := func(client int) {
				q := &requests[client]
				q.id, _ = p.Pick(Key{Now: now, Random: r.Uint64()}, nil)
				q.began, q.ends = now, now+int64(took(r, &stands[q.id], now))
			}
			for client := range requests {
				ask(client)
			}
			var got [6]int
			for range n {
				first := 0
				for client := range requests {
					if requests[client].ends < requests[first].ends {
						first = client
					}
				}
				q := requests[first]
				now = q.ends
				w.members[q.id].inFlight.Add(-1)
				w.members[q.id].Member().Observe(time.Duration(now-q.began), now)
				got[q.id]++
				ask(first)
			}
			for _, answered := range got[1:] {
				if answered < n*18/100 || answered > n*22/100 {
					t.Errorf("of %d requests the backends have %d, want 20 %% ± 2 each", n, got[1:])
					break
				}
			}
			t.Log(got[1:])
		})
	}
}
