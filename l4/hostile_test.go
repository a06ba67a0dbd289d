package l4

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

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

// hostileServices are the services of each kind, one port apart from 80 on.
var hostileServices = []struct {
	policy lb.Policy
	change func(v *lb.Service)
}{
	{lb.Maglev, func(*lb.Service) {}},
	{lb.RoundRobin, func(v *lb.Service) { v.Forward = lb.NAT }},
	{lb.SourceHash, func(v *lb.Service) { v.Forward = lb.Tunnel }},
	{lb.WeightedRoundRobin, func(v *lb.Service) { v.Backends = nil }},
	{lb.RoundRobin, func(v *lb.Service) {
		if v.VIP.Proto == lb.TCP {
			v.L4.Lost = lb.LostResets
			return
		}
		v.L4.QUIC = true
		for i := range v.Backends {
			v.Backends[i].ServerID = uint16(i + 1)
		}
	}},
	{lb.RoundRobin, func(v *lb.Service) {
		v.L4.Lost = lb.LostDrops
		v.L4.OnePacket = v.VIP.Proto == lb.UDP
	}},
	{lb.LeastConn, func(v *lb.Service) { v.Forward = lb.NAT }}, // before the same servers as the second
	{lb.RoundRobin, defend},
	{lb.RoundRobin, func(v *lb.Service) {
		v.Forward = lb.FullNAT
		v.L4.TOA = v.VIP.Proto == lb.TCP
	}},
}

// natHostile is the port of the servers under nat and fullnat, of several services; the defended one's is natDefended.
const natHostile = 81

// hostileSnapshot has services of every kind. change is made to each backend.
func hostileSnapshot(change func(i int, b *lb.Backend)) lb.Snapshot {
	s := snapshot(lb.Maglev)
	s.Services = nil
	id := 1
	for n, k := range kinds {
		for port, as := range hostileServices {
			v := k.snapshot(as.policy, backends(4)...).Services[0]
			v.Name = fmt.Sprintf("%s %d", k, port)
			v.VIP.Addr = netip.AddrPortFrom(v.VIP.Addr.Addr(), uint16(80+port))
			as.change(&v)
			by := tunnels[n]
			for i := range v.Backends {
				b := &v.Backends[i]
				at := netip.AddrPortFrom(b.Addr.Addr(), v.VIP.Addr.Port())
				switch v.Forward {
				case lb.NAT, lb.FullNAT:
					at = netip.AddrPortFrom(at.Addr(), natHostile)
					if v.VIP.Addr.Port() == defendedPort {
						at = netip.AddrPortFrom(at.Addr(), natDefended)
					}
				case lb.Tunnel:
					at = netip.AddrPortFrom(kind{six: by.six}.of(backendAddr(i+1)), at.Port())
				}
				change(i, b)
				b.ID, b.Addr, id = lb.BackendID(id), at, id+1
			}
			if v.Forward == lb.Tunnel {
				v.L4.Tunnel = by.encapsulation()
			}
			s.Services = append(s.Services, v)
		}
	}
	return s
}

// hostileTurns are what happens to the backends in the course of a campaign.
var hostileTurns = []func(i int, b *lb.Backend){
	func(int, *lb.Backend) {},
	func(i int, b *lb.Backend) { b.Health = []lb.Health{lb.Down, lb.Up}[i%2] },
	func(i int, b *lb.Backend) { b.Health = []lb.Health{lb.Up, lb.Down}[i%2] },
	func(i int, b *lb.Backend) { b.Admin = []lb.Admin{lb.Disabled, lb.Draining, lb.Enabled, lb.Enabled}[i] },
}

// Whatever a packet looks like, it meets exactly one verdict, which has a name
// and is not that of a bug; it is changed only where it is forwarded, by no more
// bytes than the way of forwarding adds; and what is in the maps afterwards is what
// may be there. Nearly all verdicts are met.
func TestHostilePackets(t *testing.T) {
	const seed, chunk, workers, turns = 1, 20_000, 2, 5 // of which the last is as the first
	r := newRig(t)
	r.options.MaxFlows = 1 << 12 // it is full at times
	r.options.LocalAddresses = hostilePools
	r.empty()
	total := hostilePackets(t)
	rounds := (total + chunk*workers - 1) / (chunk * workers)
	frozen := ""
	for round := range rounds {
		if turn := max(rounds/(turns*5), 1); round%turn == 0 {
			r.turn(round / turn)
			frozen = r.frozen()
		}
		before := r.allVerdicts()
		var wg sync.WaitGroup
		var sent [workers]uint64
		for w := range workers {
			wg.Go(func() { sent[w] = r.hostileRun(newHostile(uint64(seed+w+round*chunk*workers)), chunk) })
		}
		wg.Wait()
		met := uint64(0)
		for i, after := range r.allVerdicts() {
			met += after.Packets - before[i].Packets
		}
		if want := sent[0] + sent[1]; met != want || want < chunk {
			t.Fatalf("round %d: %d packets met %d verdicts", round, want, met)
		}
		if got := r.frozen(); got != frozen {
			t.Fatalf("round %d: packets changed what only Apply may change:\n%s\n%s", round, frozen, got)
		}
		if t.Failed() {
			return
		}
	}
	ok(t, r.recount())
	for _, v := range r.allVerdicts() {
		t.Logf("%9d %s", v.Packets, v.Name)
		if never := neverMet(v.Name); (v.Packets > 0) == never && v.Name != hurried {
			t.Errorf("%d packets met %s, is it to be met: %t", v.Packets, v.Name, !never)
		}
	}
}

// hurried is met only where packets come faster than answers may be sent, which a slow
// machine's do not; TestAnswersAreLimited sees to it.
const hurried = "TOO_BIG_UNTOLD"

// neverMet are verdicts of bugs, and of packets that the kernel hands to no program;
// and BPF_PROG_TEST_RUN leaves room behind all that it takes.
func neverMet(verdict string) bool {
	return verdict == "BROKEN" || verdict == "NO_TAILROOM" || verdict == "TRUNCATED_ETHERNET" || verdict == "TRUNCATED_IP" && hook == lb.HookTCX
}

// turn lets old flows end, now and then, and changes the backends.
func (r *rig) turn(n int) {
	r.Helper()
	if n%3 == 2 {
		r.age(DefaultTimeouts.TCP + time.Second)
		r.sweep()
	}
	r.apply(hostileSnapshot(hostileTurns[n%len(hostileTurns)]))
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
	resizing := *r
	resizing.cuts = true
	err := r.ns.Do(func() error {
		for range packets {
			in := h.next()
			if cannotRun(in) {
				continue
			}
			sent++
			run := r.run
			if movesEnd(in) {
				run = resizing.run
			}
			got, err := run(in)
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
				h.dialogue.hear(got.out)
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
