package l4

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"

	"lbctl/internal/lb"
)

// hostilePackets is how many packets the campaign sends: few in a test run,
// ten million by `make plane`, which CI runs.
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
			case 0:
				if k.proto == lb.TCP {
					v.Forward, v.L4.TOA = lb.FullNAT, true
				}
			case 2:
				by := tunnels[id%len(tunnels)]
				v.Forward, v.L4.Tunnel = lb.Tunnel, by.encapsulation()
				for i := range v.Backends {
					v.Backends[i].Addr = netip.AddrPortFrom(kind{six: by.six}.of(backendAddr(i+1)), 0)
				}
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
		var sent [workers]uint64
		for w := range workers {
			wg.Go(func() { sent[w] = r.hostileRun(newHostile(uint64(seed+w+begun)), chunk) })
		}
		wg.Wait()
		after := r.allVerdicts()
		met := uint64(0)
		for i := range after {
			met += after[i].Packets - before[i].Packets
		}
		if want := sent[0] + sent[1]; met != want || want < chunk {
			t.Fatalf("seed %d: %d packets met %d verdicts", seed+begun, want, met)
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
func mostAdded() (most int) {
	for _, by := range tunnels {
		most = max(most, by.overhead())
	}
	return most
}

// hostileRun sends packets and looks at what comes out. It returns how many of
// them the kernel would run the program on.
func (r *rig) hostileRun(h *hostile, packets int) (sent uint64) {
	most := mostAdded()
	err := r.ns.Do(func() error {
		for range packets {
			in := h.next()
			if cannotRun(in) {
				continue
			}
			sent++
			got, err := r.run(in)
			if err != nil {
				return fmt.Errorf("run on %x: %w", in, err)
			}
			switch got.action {
			case xdpPass, xdpDrop:
				if !bytes.Equal(got.out, in) {
					return fmt.Errorf("action %d, and the packet was changed\n in %x\nout %x", got.action, in, got.out)
				}
			case xdpTx, xdpRedirect:
				if len(got.out) > len(in)+most {
					return fmt.Errorf("%d bytes became %d\n in %x\nout %x", len(in), len(got.out), in, got.out)
				}
			default:
				return fmt.Errorf("action %d\n in %x", got.action, in)
			}
		}
		return nil
	})
	if err != nil {
		r.Error(err)
	}
	return sent
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
