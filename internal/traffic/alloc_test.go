package traffic

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

func TestNothingIsAllocatedPerRequest(t *testing.T) {
	addrs := []netip.AddrPort{startServer(t, ServerConfig{Name: "a", Body: 100}), startServer(t, ServerConfig{Name: "b", Body: 64 << 10})}
	for _, keep := range []bool{true, false} {
		for _, load := range []Load{{}, {Rate: 2000}, {Path: "/bytes/65536"}} {
			t.Run(fmt.Sprintf("keep-alive %v, rate %v %s", keep, load.Rate, load.Path), func(t *testing.T) {
				var m [2]runtime.MemStats
				n := 0
				load.Targets, load.Connections, load.KeepAlive, load.Warmup, load.Duration = addrs, 16, keep, 200*time.Millisecond, 500*time.Millisecond
				r, err := Generate(t.Context(), load, func(Event) {
					runtime.ReadMemStats(&m[n])
					n++
				})
				if err != nil {
					t.Fatal(err)
				}
				if n := m[1].Mallocs - m[0].Mallocs; n > 500+r.Requests/20 { // a busy machine can put a peak into the window
					t.Errorf("%d allocations in %d requests", n, r.Requests)
				}
			})
		}
	}
}
