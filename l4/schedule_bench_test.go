package l4

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"lbctl/internal/ipvs"
	"lbctl/internal/lb"
)

// BenchmarkSchedule gives ns per choice of each policy by the number of backends,
// of equal weight and without connections, and of the choice by hash.
func BenchmarkSchedule(b *testing.B) {
	for _, n := range []int{2, 16, 256, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRig(b)
			all := r.crowd(n)
			for _, name := range append(ipvs.Names(), "by hash") {
				b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
					policy := lb.Policy(name)
					if name == "by hash" {
						policy = lb.RoundRobin
					}
					some := all
					if policy == lb.Maglev {
						some = all[:min(n, ipvs.MaxMembers)]
					}
					r.apply(snapshot(policy, some...))
					benchmarkChoice(b, rehearse(r), name == "by hash")
				})
			}
		})
	}
}

func benchmarkChoice(b *testing.B, h *rehearsal, byHash bool) {
	for i := range int(h.objects.Steps.MaxEntries()) {
		src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 7, byte(i >> 8), byte(i)}), uint16(1024+i))
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 8, 0, byte(i % 64)}), 80)
		h.ask(lb.VIP{Addr: vip, Proto: lb.TCP}, src, dst, 0, uint64(i))
		if byHash {
			h.steps[i].ByHash = 1
		}
	}
	n := len(h.steps)
	for _, slot := range h.run() {
		if slot == noSlot {
			b.Fatal("no backend was chosen")
		}
	}
	count := binary.NativeEndian.AppendUint32(nil, uint32(n))
	best := time.Hour
	for b.Loop() {
		begin := time.Now()
		_, err := h.objects.Rehearse.Run(&ebpf.RunOptions{Context: count})
		best = min(best, time.Since(begin))
		ok(b, err)
	}
	b.ReportMetric(float64(best)/float64(n), "ns/choice")
	b.ReportMetric(0, "ns/op")
}

// crowd makes n backends that can be reached.
func (r *rig) crowd(n int) []lb.Backend {
	r.Helper()
	var all []lb.Backend
	ok(r, r.ns.Do(func() error {
		eth0, err := netlink.LinkByIndex(r.ifindex)
		ok(r, err)
		addr, err := netlink.ParseAddr("198.19.255.1/16")
		ok(r, err)
		ok(r, netlink.AddrAdd(eth0, addr))
		for i := 1; i <= n; i++ {
			b := backend(i)
			b.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 19, byte(i >> 8), byte(i)}), vip.Port())
			r.neighbour(r.ifindex, b.Addr.Addr(), backendMAC(i))
			all = append(all, b)
		}
		return nil
	}))
	return all
}
