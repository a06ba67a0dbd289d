package l4

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"lbctl/internal/lb"
)

// anotherBinary makes Open load programs of another tag, that do the same.
func anotherBinary(t *testing.T, versions *int) {
	t.Helper()
	ours := loadSpec
	loadSpec = func() (*ebpf.CollectionSpec, error) {
		spec, err := ours()
		if err != nil {
			return nil, err
		}
		*versions++
		for _, name := range hookPrograms {
			p := spec.Programs[name]
			first := asm.Mov.Imm(asm.R0, int32(*versions)).WithMetadata(p.Instructions[0].Metadata)
			p.Instructions[0].Metadata = asm.Metadata{} // where the function begins
			p.Instructions = append(asm.Instructions{first}, p.Instructions...)
		}
		return spec, nil
	}
	t.Cleanup(func() { loadSpec = ours })
}

// datagrams is how many a client's order takes on each connection: full frames.
func datagrams(k kind, o order) int {
	full := 1500 - 20 - 8
	if k.six {
		full = 1500 - 40 - 8
	}
	return (o.Echo + full - 1) / full
}

// underTraffic calls disturb again and again while datagrams go to and fro, each
// sent when the one before it has come back, so none may be lost. Counters go on.
func underTraffic(t *testing.T, w *wires, k kind, disturb func(i int)) {
	t.Helper()
	const flows, least = 4, 6
	c := w.startClient(k)
	if r := w.order(c, order{Open: flows}); len(r.Broken) != 0 {
		t.Fatalf("before: %+v", r)
	}
	sent := flows
	for i := 0; i < least; {
		o := order{Echo: 1 << 20}
		done := make(chan report)
		go func() { done <- w.order(c, o) }()
		for running := true; running; {
			select {
			case r := <-done:
				if len(r.Broken) != 0 {
					t.Fatalf("after %d changes: %+v", i, r)
				}
				running = false
			default:
				disturb(i)
				i++
			}
		}
		sent += flows * datagrams(k, o)
	}
	stats, err := w.Stats()
	ok(t, err)
	if got := stats.Services[0].Counters; got.PacketsIn != uint64(sent) || got.Connections != flows {
		t.Errorf("%d packets of %d flows are counted, want %d of %d", got.PacketsIn, got.Connections, sent, flows)
	}
}

// A new binary's program takes the old one's place between two packets.
func TestProgramIsReplacedUnderTraffic(t *testing.T) {
	for _, k := range []kind{{false, lb.UDP}, {true, lb.UDP}} {
		t.Run(k.String(), func(t *testing.T) {
			w := newWires(t, 2)
			w.startServers(k)
			ok(t, w.Apply(t.Context(), k.snapshot(lb.RoundRobin, backends(2)...)))
			versions := 0
			anotherBinary(t, &versions)
			tags := map[string]bool{}
			underTraffic(t, w, k, func(int) {
				w.reopen(w.options)
				info, err := w.program(hook).Info()
				ok(t, err)
				tags[info.Tag] = true
			})
			if len(tags) != versions {
				t.Errorf("%d tags of %d programs: the test means little", len(tags), versions)
			}
		})
	}
}

// A plane goes from each hook to each other with nothing lost in between.
func TestHookChangesUnderTraffic(t *testing.T) {
	if hook != lb.HookNative {
		return // it goes to all of them, with checksums not offloaded, as XDP needs it
	}
	way := []lb.Hook{lb.HookTCX, lb.HookNative, lb.HookGeneric, lb.HookTCX, lb.HookGeneric, lb.HookNative}
	for _, k := range []kind{{false, lb.UDP}, {true, lb.UDP}} {
		t.Run(k.String(), func(t *testing.T) {
			w := newWires(t, 2)
			w.startServers(k)
			ok(t, w.Apply(t.Context(), k.snapshot(lb.RoundRobin, backends(2)...)))
			underTraffic(t, w, k, func(i int) {
				o := w.options
				o.Hook = way[i%len(way)]
				w.reopen(o)
				if got := w.Hooks()[0]; got.Hook != o.Hook {
					t.Errorf("change %d: %+v, want %s", i, got, o.Hook)
				}
				time.Sleep(5 * time.Millisecond) // some traffic at each
			})
		})
	}
}
