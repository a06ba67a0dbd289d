package l4

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// The program and the models of internal/ipvs, which agree with a real kernel,
// make the same choices on random streams of events: connections that begin,
// change and end, thresholds that are reached, backends that are added, edited
// and deleted, go down and come back. LBCTL_SEED repeats a run, LBCTL_ROUNDS
// makes it longer.
func TestScheduleChoosesAsTheModelsDo(t *testing.T) {
	number := func(name string, otherwise uint64) uint64 {
		if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
			return n
		}
		return otherwise
	}
	seed := number("LBCTL_SEED", uint64(time.Now().UnixNano()))
	t.Logf("LBCTL_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	h := rehearse(newRig(t))
	var twins []*twin
	for _, name := range []string{"rr", "wrr", "lc", "wlc", "sed", "nq", "fo", "ovf", "twos", "dh", "sh", "mh", "lblc"} {
		twins = append(twins, &twin{scheduler: name, fails: true, leaves: true})
	}
	for _, o := range []lb.L4Options{{Ports: true}, {Fallback: true}, {Ports: true, Fallback: true}} {
		for _, name := range []string{"sh", "mh"} {
			w := &twin{scheduler: name, fails: true, leaves: true}
			w.v.L4 = o
			twins = append(twins, w)
		}
	}
	// A place in lblcr's set is lost with its backend, which in the kernel may come back to it.
	twins = append(twins, &twin{scheduler: "lblcr", fails: true}, &twin{scheduler: "lblcr", ages: true}, &twin{scheduler: "lblc", ages: true})
	for i, w := range twins {
		w.start(h, i, random)
	}

	steps := 0
	for round := range number("LBCTL_ROUNDS", 100) {
		s := lb.Snapshot{Revision: round + 1}
		for _, w := range twins {
			if round > 0 { // an edit before the first Apply is one the plane never hears of
				w.change()
			}
			s.Services = append(s.Services, w.wanted())
		}
		h.apply(s)
		for _, w := range twins {
			w.tell()
		}
		steps += h.compare(twins, random)
	}
	if steps < 1e6 {
		t.Errorf("only %d steps were taken", steps)
	}
	for _, w := range twins {
		t.Logf("%8d choices of %s", w.choices, w)
	}
}

// compare takes as many steps as fit into one run.
func (h *rehearsal) compare(twins []*twin, random *rand.Rand) int {
	h.Helper()
	type question struct {
		of   *twin
		want uint32
	}
	asked := map[int]question{}
	for len(h.steps)+2 < int(h.objects.Steps.MaxEntries()) {
		w := twins[random.IntN(len(twins))]
		at := len(h.steps)
		if want, yes := w.step(); yes {
			asked[at] = question{w, want}
		}
	}
	taken := len(h.steps)
	for i, got := range h.run() {
		if q, yes := asked[i]; yes && got != q.want {
			h.Fatalf("step %d: %s chose slot %d, want %d", i, q.of, got, q.want)
		}
	}
	return taken
}
