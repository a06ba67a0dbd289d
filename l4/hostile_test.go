package l4

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/cilium/ebpf"

	"lbctl/internal/lb"
)

// hostilePackets is how many packets the campaign sends: few in a test run,
// ten million by `make fuzz-packets`, which CI runs.
func hostilePackets(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("LBCTL_HOSTILE_PACKETS"))
	if err != nil && os.Getenv("LBCTL_HOSTILE_PACKETS") != "" {
		t.Fatal(err)
	}
	return max(n, 200_000)
}

// hostileSnapshot has services of every kind, port by port another way to
// forward and another policy.
func hostileSnapshot() lb.Snapshot {
	s := snapshot(lb.Maglev)
	s.Services = nil
	id := 1
	for _, k := range kinds {
		for port := range uint16(hostilePorts) {
			v := k.snapshot([]lb.Policy{lb.Maglev, lb.RoundRobin, lb.SourceHash, lb.WeightedRoundRobin}[port], backends(4)...).Services[0]
			v.Name = fmt.Sprintf("%s %d", k, port)
			v.VIP.Addr = netip.AddrPortFrom(v.VIP.Addr.Addr(), 80+port)
			switch port {
			case 1:
				v.Forward = lb.NAT
			case 3:
				v.Backends = nil
			}
			for i := range v.Backends {
				b := &v.Backends[i]
				b.ID, id = lb.BackendID(id), id+1
				b.Addr = netip.AddrPortFrom(b.Addr.Addr(), 80+port)
			}
			s.Services = append(s.Services, v)
		}
	}
	return s
}

// Whatever a packet looks like, it meets exactly one verdict, which has a name
// and is not that of a bug; it is changed only where it is forwarded, by no more
// bytes than the way of forwarding adds; and what is in the maps afterwards is what
// may be there.
func TestHostilePackets(t *testing.T) {
	const seed, chunk, workers = 1, 20_000, 2
	r := newRig(t)
	r.apply(hostileSnapshot())
	frozen := r.frozen()
	total := hostilePackets(t)
	for begun := 0; begun < total; begun += chunk * workers {
		before := r.allVerdicts()
		var wg sync.WaitGroup
		for w := range uint64(workers) {
			wg.Go(func() { r.hostileRun(newHostile(seed+w+uint64(begun)), chunk) })
		}
		wg.Wait()
		after := r.allVerdicts()
		sum := uint64(0)
		for i := range after {
			sum += after[i].Packets - before[i].Packets
		}
		if sum != chunk*workers {
			t.Fatalf("seed %d: %d packets met %d verdicts", seed+begun, chunk*workers, sum)
		}
		if t.Failed() {
			return
		}
	}
	for _, v := range r.allVerdicts() {
		if v.Name == "BROKEN" && v.Packets > 0 {
			t.Errorf("%d packets: %s", v.Packets, v.Text)
		}
		t.Logf("%9d %s", v.Packets, v.Name)
	}
	if got := r.frozen(); got != frozen {
		t.Errorf("packets changed what only Apply may change:\n%s\n%s", frozen, got)
	}
	if err := r.recount(); err != nil {
		t.Error(err)
	}
}

// mostAdded is how many bytes the program may put in front of a packet.
const mostAdded = 0

// hostileRun sends packets and looks at what comes out.
func (r *rig) hostileRun(h *hostile, packets int) {
	err := r.ns.Do(func() error {
		out := make([]byte, 4096)
		for range packets {
			in := h.next()
			options := &ebpf.RunOptions{Data: in, DataOut: out, Context: r.context(in)}
			action, err := r.objects.Balance.Run(options)
			if err != nil {
				return fmt.Errorf("run on %x: %w", in, err)
			}
			switch action {
			case xdpPass, xdpDrop:
				if !bytes.Equal(options.DataOut, in) {
					return fmt.Errorf("action %d, and the packet was changed\n in %x\nout %x", action, in, options.DataOut)
				}
			case xdpTx, xdpRedirect:
				if len(options.DataOut) > len(in)+mostAdded {
					return fmt.Errorf("%d bytes became %d\n in %x\nout %x", len(in), len(options.DataOut), in, options.DataOut)
				}
			default:
				return fmt.Errorf("action %d\n in %x", action, in)
			}
		}
		return nil
	})
	if err != nil {
		r.Error(err)
	}
}

func (r *rig) allVerdicts() []lb.Verdict {
	r.Helper()
	all, err := r.verdicts()
	ok(r, err)
	return all
}

// frozen is a digest of the maps that packets must not change.
func (r *rig) frozen() string {
	r.Helper()
	backends := make([]xdpBackend, r.objects.Backends.MaxEntries())
	ok(r, readArray(r.objects.Backends, backends))
	text := ""
	for i, b := range backends {
		if b != (xdpBackend{}) {
			text += fmt.Sprintf("%d %+v\n", i, b)
		}
	}
	var key xdpVip
	var value xdpService
	entries := r.objects.Services.Iterate()
	for entries.Next(&key, &value) {
		text += fmt.Sprintf("%+v %+v\n", key, value)
	}
	ok(r, entries.Err())
	return text
}
