package l4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"lbctl/internal/ipvs"
	"lbctl/internal/lb"
)

// With repeat > 1 the kernel hands a program its own output again. So each run
// goes through a wrapper that restores what the program changes, gives the
// source its next address and port, and tail-calls the program.

// wrap returns a wrapper of program for this packet, of which it restores the
// length and the 32-bit words at these offsets. So many sources take turns, each time the
// step-th next one, or there is the packet's own.
func (k kind) wrap(b *testing.B, program *ebpf.Program, packet []byte, words []int, sources, step int32) *ebpf.Program {
	b.Helper()
	jump, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	ok(b, err)
	b.Cleanup(func() { ok(b, jump.Close()) })
	ok(b, jump.Put(uint32(0), uint32(program.FD())))
	counter, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: 1 << 10})
	ok(b, err)
	b.Cleanup(func() { ok(b, counter.Close()) })
	host, port := int16(27), int16(34) // into 10.x.y.z
	if k.six {
		host, port = 34, 54
	}
	code := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	if hook != lb.HookTCX {
		code = append(code,
			asm.LoadMem(asm.R2, asm.R6, 4, asm.Word),
			asm.LoadMem(asm.R7, asm.R6, 0, asm.Word),
			asm.Sub.Reg(asm.R2, asm.R7),
			asm.Sub.Imm(asm.R2, int32(len(packet))),
			asm.JEq.Imm(asm.R2, 0, "whole"),
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.FnXdpAdjustHead.Call(),
			asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("whole"))
	}
	code = append(code,
		asm.LoadMem(asm.R7, asm.R6, dataAt(), asm.Word),
		asm.LoadMem(asm.R2, asm.R6, dataAt()+4, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R7),
		asm.Add.Imm(asm.R3, int32(len(packet))),
		asm.JGT.Reg(asm.R3, asm.R2, "out"),
	)
	for _, at := range words {
		code = append(code, asm.StoreImm(asm.R7, int16(at), int64(int32(binary.NativeEndian.Uint32(packet[at:]))), asm.Word))
	}
	if sources != 0 {
		code = append(code,
			asm.LoadMapValue(asm.R1, counter.FD(), 0),
			asm.LoadMem(asm.R2, asm.R1, 0, asm.DWord),
			asm.Add.Imm(asm.R2, step),
			asm.JLT.Imm(asm.R2, sources, "next"),
			asm.Sub.Imm(asm.R2, sources),
			asm.StoreMem(asm.R1, 0, asm.R2, asm.DWord).WithSymbol("next"),
			asm.Mov.Reg(asm.R3, asm.R2),
			asm.And.Imm(asm.R3, 0x7fff),
			asm.Or.Imm(asm.R3, 0x8000), // never port 0
			asm.StoreMem(asm.R7, port, asm.R3, asm.Half),
			asm.RSh.Imm(asm.R2, 15),
			asm.StoreMem(asm.R7, host, asm.R2, asm.Half),
		)
	}
	code = append(code,
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, jump.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: program.Type(), AttachType: attachType(), Instructions: code, License: "GPL"})
	ok(b, err)
	b.Cleanup(func() { ok(b, p.Close()) })
	return p
}

// emptyTX is the floor: a program that does nothing but send the packet back.
func emptyTX(b *testing.B, kind ebpf.ProgramType) *ebpf.Program {
	b.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: kind, AttachType: attachType(), License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, int32(inHooksWords(xdpTx))), asm.Return()},
	})
	ok(b, err)
	b.Cleanup(func() { ok(b, p.Close()) })
	return p
}

// dataAt is where the packet's address is in the context; data_end is next.
func dataAt() int16 {
	if hook == lb.HookTCX {
		return 76 // in struct __sk_buff
	}
	return 0 // in struct xdp_md
}

// attachType is the programs' at the hook under test: tail calls want it the same.
func attachType() ebpf.AttachType {
	if hook == lb.HookTCX {
		return ebpf.AttachTCXIngress
	}
	return ebpf.AttachXDP
}

// inHooksWords is an action of XDP as the hook under test says it.
func inHooksWords(action uint32) uint32 {
	if hook != lb.HookTCX {
		return action
	}
	return map[uint32]uint32{xdpTx: tcxRedirect, xdpPass: tcxNext}[action]
}

type benchRow struct {
	name   string
	packet *segment
	flows  int32 // in rotation; 0: one
	warm   bool  // all flows are known
	want   uint32
	fate   string
}

// step is how far a flow is from the next one, in the order in which they began: entries
// of flows that follow each other are next to each other in memory, which the hardware
// foresees. Scattered is what no hardware does: prime to the numbers of flows.
func (r benchRow) step() int32 {
	if strings.HasSuffix(r.name, "scattered") {
		return 61_803
	}
	return 1
}

// room is for as many flows as a table has by default, unless that is too few.
func (r benchRow) room() int {
	if r.warm {
		return max(DefaultMaxFlows, 2*int(r.flows))
	}
	return DefaultMaxFlows
}

// BenchmarkBalance gives ns per packet, and the same as a multiple of an empty
// XDP_TX in the same wrapper, run in turns with it.
func BenchmarkBalance(b *testing.B) {
	rows := []benchRow{
		{"known flow", from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"known flow, IPv6", kind{true, lb.TCP}.from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"known flow, UDP", kind{false, lb.UDP}.from(7), 0, true, xdpTx, "KNOWN_FLOW"},
		{"32k known flows", from(7, "ACK"), 32_000, true, xdpTx, "KNOWN_FLOW"},
		{"100k known flows", from(7, "ACK"), 100_000, true, xdpTx, "KNOWN_FLOW"},
		{"100k known flows, scattered", from(7, "ACK"), 100_000, true, xdpTx, "KNOWN_FLOW"},
		{"512k known flows", from(7, "ACK"), 512_000, true, xdpTx, "KNOWN_FLOW"},
		{"1M known flows", from(7, "ACK"), 1_000_000, true, xdpTx, "KNOWN_FLOW"},
		{"1M known flows, scattered", from(7, "ACK"), 1_000_000, true, xdpTx, "KNOWN_FLOW"},
		{"512k known flows, IPv6", kind{true, lb.TCP}.from(7, "ACK"), 512_000, true, xdpTx, "KNOWN_FLOW"},
		{"SYN of a fresh flow", from(7, "SYN"), 8_000_000, false, xdpTx, "NEW_FLOW"},
		{"SYN of a fresh flow, IPv6", kind{true, lb.TCP}.from(7, "SYN"), 8_000_000, false, xdpTx, "NEW_FLOW"},
		{"nat request", from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"nat reply", kind{false, lb.TCP}.reply(1, 7, "ACK"), 0, true, xdpTx, "REPLY"},
		{"nat request, IPv6", kind{true, lb.TCP}.from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"nat reply, IPv6", kind{true, lb.TCP}.reply(1, 7, "ACK"), 0, true, xdpTx, "REPLY"},
		{"fullnat request", from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"fullnat reply", kind{false, lb.TCP}.reply(1, 7, "ACK"), 0, true, xdpTx, "REPLY"},
		{"fullnat request, IPv6", kind{true, lb.TCP}.from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"fullnat reply, IPv6", kind{true, lb.TCP}.reply(1, 7, "ACK"), 0, true, xdpTx, "REPLY"},
		{"nat request of a flow that began with a cookie", from(1000, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"nat reply of a flow that began with a cookie", kind{false, lb.TCP}.reply(1, 1000, "ACK"), 0, true, xdpTx, "REPLY"},
		{"SYN answered by a cookie", from(7, "SYN").numbered(1, 0, 1000, agreed(1460, true, 7)...), 8_000_000, false, xdpTx, "COOKIE_SENT"},
		{"tun, IPIP", from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"tun, IPIP, IPv6", kind{true, lb.TCP}.from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"tun, GUE", from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"tun, GUE, IPv6", kind{true, lb.TCP}.from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"no VIP", from(7, "ACK").target(balancer), 0, true, xdpPass, "NOT_VIP"},
		{"no VIP, IPv6", kind{true, lb.TCP}.from(7, "ACK").target(kind{six: true}.of(balancer)), 0, true, xdpPass, "NOT_VIP"},
		{"no VIP beside a prefix", from(7, "ACK").target(balancer), 0, true, xdpPass, "NOT_VIP"},
		{"no VIP beside a prefix, IPv6", kind{true, lb.TCP}.from(7, "ACK").target(kind{six: true}.of(balancer)), 0, true, xdpPass, "NOT_VIP"},
		{"no VIP, but the filter takes it for a prefix's", from(7, "ACK").target(netip.MustParseAddr("198.18.101.1")), 0, true, xdpPass, "NOT_VIP"},
		{"known flow to a prefix", from(7, "ACK").target(netip.MustParseAddr("198.18.100.7")), 0, true, xdpTx, "KNOWN_FLOW"},
		{"SYN of a fresh flow to a prefix", from(7, "SYN").target(netip.MustParseAddr("198.18.100.7")), 8_000_000, false, xdpTx, "NEW_FLOW"},
		{"SYN of the same flow again", from(7, "SYN"), 0, true, xdpTx, "KNOWN_FLOW"},
		{"ARP", from(7, "ACK").set(func(s *segment) { s.eth.EthernetType = 0x0806 }), 0, true, xdpPass, "NOT_IP"},
	}
	for _, n := range []int{2, 16, 256, 4096} {
		rows = append(rows,
			benchRow{crowded("known flow", n), from(7, "ACK"), 0, true, xdpTx, "KNOWN_FLOW"},
			benchRow{crowded("SYN of a fresh flow", n), from(7, "SYN"), 8_000_000, false, xdpTx, "NEW_FLOW"})
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			r := newRig(b)
			r.options.MaxFlows = row.room()
			r.empty()
			k := row.packet.kind
			r.apply(k.snapshot(lb.Maglev, backends(4)...))
			if n := crowdOf(row.name); n > 0 {
				r.apply(k.snapshot(lb.Maglev, r.crowd(n)[:min(n, ipvs.MaxMembers)]...))
			}
			if strings.HasPrefix(row.name, "nat") {
				r.apply(k.nat(backend(1)))
				r.send(k.from(7, "SYN").bytes())
			}
			if strings.HasPrefix(row.name, "fullnat") {
				r.apply(k.fullnat(backend(1)))
				if local := r.begin(k, 7); row.fate == "REPLY" {
					row.packet = k.replyTo(1, local, "ACK")
				}
			}
			if strings.Contains(row.name, "cookie") {
				s := k.nat(backend(1))
				s.Services[0].L4.SYNCookies = lb.SYNCookiesAlways
				r.apply(s)
			}
			if strings.Contains(row.name, "began with a cookie") {
				r.cuts = true
				(&spliced{kind: k, rig: r}).join(b, 0x80000000, 7)
				r.cuts = false
			}
			if strings.Contains(row.name, "tun") {
				by := tunnel{six: k.six}
				if strings.Contains(row.name, "GUE") {
					by.gue = testGUEPort
				}
				r.apply(k.tun(by, backend(1)))
			}
			if strings.Contains(row.name, "prefix") {
				s := k.snapshot(lb.Maglev, backends(4)...)
				s.Services[0].L4.Also = []lb.Match{k.match("198.18.100.0", 24, 80, 80), k.match("198.18.98.0", 23, 443, 443)}
				for i := range s.Services[0].Backends {
					b := &s.Services[0].Backends[i]
					b.Addr = netip.AddrPortFrom(b.Addr.Addr(), 0)
				}
				r.apply(s)
			}
			packet := row.packet.bytes()
			if row.flows != 0 && !k.six {
				packet[26] = 10
			}
			out := r.send(packet).out
			words := changed(packet, out[len(out)-len(packet):])
			before := r.packets(row.fate)
			ours := k.wrap(b, r.program(hook), packet, words, row.flows, row.step())
			floor := k.wrap(b, emptyTX(b, r.program(hook).Type()), packet, words, row.flows, row.step())
			if row.warm {
				r.cost(k.wrap(b, r.program(hook), packet, words, row.flows, 1), packet, row.flows, row.want)
			}
			best, base := time.Hour, time.Hour
			var ratios []float64
			const repeat = 500_000
			for b.Loop() {
				if !row.warm { // the table must have room
					r.age(2 * openingTimeout)
					r.sweep()
				}
				nothing := r.cost(floor, packet, repeat, xdpTx)
				all := r.cost(ours, packet, repeat, row.want)
				base, best = min(base, nothing), min(best, all)
				ratios = append(ratios, float64(all)/float64(nothing))
			}
			if n := r.packets(row.fate) - before; n < uint64(b.N)*repeat {
				b.Fatalf("%d packets met %s, want %d: another fate was measured", n, row.fate, b.N*repeat)
			}
			b.ReportMetric(float64(best)/repeat, "ns/packet")
			b.ReportMetric(float64(base)/repeat, "ns/floor")
			b.ReportMetric(float64(best)/float64(base), "x/floor")
			b.ReportMetric(median(ratios), "x-median")
			if bar, named := bars[row.name]; named {
				b.ReportMetric(bar, "x-bar")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// crowded names a row of mh with so many backends, or as many as it takes.
func crowded(row string, backends int) string { return fmt.Sprintf("%s, %d backends", row, backends) }

// crowdOf is that number, 0 for the usual four.
func crowdOf(row string) (backends int) {
	if _, tail, some := strings.Cut(strings.TrimSuffix(row, " backends"), ", "); some {
		backends, _ = strconv.Atoi(tail)
	}
	return backends
}

// bars are what the best of many runs may be, as multiples of the floor. Katran on
// the same kind of machine: 6.1 (known flow), 10.5 (100k flows), 28 (SYN), 3.2 (no VIP).
var bars = map[string]float64{
	"known flow": 3, "known flow, IPv6": 3, "known flow, UDP": 3, "100k known flows": 7,
	"tun, IPIP": 4.5, "tun, IPIP, IPv6": 4.5, "tun, GUE": 4.5, "tun, GUE, IPv6": 4.5,
	"SYN of a fresh flow": 18, "SYN of a fresh flow, IPv6": 18, "no VIP": 2.2, "no VIP, IPv6": 2.2,
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// changed are the offsets of the 32-bit words that differ.
func changed(before, after []byte) (words []int) {
	for at := 0; at+4 <= len(before); at += 4 {
		if !bytes.Equal(before[at:at+4], after[at:at+4]) {
			words = append(words, at)
		}
	}
	return words
}

// cost is the CPU time that so many packets take: of this thread alone, so that
// what else the machine does counts as little as it can.
func (r *rig) cost(p *ebpf.Program, packet []byte, repeat int32, want uint32) (took time.Duration) {
	r.Helper()
	ok(r, r.ns.Do(func() error {
		context := r.context(packet)
		if hook == lb.HookTCX {
			context = r.skb()
		}
		begin := threadTime(r)
		action, err := p.Run(&ebpf.RunOptions{Data: packet, Context: context, Repeat: uint32(max(repeat, 1))})
		took = threadTime(r) - begin
		if err == nil && action != inHooksWords(want) {
			err = fmt.Errorf("action %d, want %d", action, want)
		}
		return err
	}))
	return took
}

// threadTime is the CPU time that the calling thread has had.
func threadTime(t testing.TB) time.Duration {
	var now unix.Timespec
	ok(t, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now))
	return time.Duration(now.Nano())
}

// packets is how many met a verdict.
func (r *rig) packets(verdict string) uint64 {
	r.Helper()
	all, err := r.verdicts()
	ok(r, err)
	for _, v := range all {
		if v.Name == verdict {
			return v.Packets
		}
	}
	r.Fatalf("no verdict %s", verdict)
	return 0
}

// BenchmarkSweep gives the time that a sweep takes per entry, of a million flows
// that live and of as many that expire and are deleted.
func BenchmarkSweep(b *testing.B) {
	const flows = 1 << 20
	r := newRig(b)
	r.options.MaxFlows = flows
	r.empty()
	r.apply(snapshot(lb.Maglev, backends(4)...))
	packet := from(7, "ACK").bytes()
	packet[26] = 10
	fill := kind{proto: lb.TCP}.wrap(b, r.program(hook), packet, changed(packet, r.send(packet).out), flows-1, 1)
	best := map[string]time.Duration{"live": time.Hour, "expiring": time.Hour, "deleted": time.Hour}
	sweep := func(what string) {
		ok(b, r.Sweep())
		best[what] = min(best[what], r.sweeper.took)
	}
	for b.Loop() {
		r.cost(fill, packet, flows, xdpTx)
		sweep("live")
		r.age(DefaultTimeouts.TCP + time.Second)
		sweep("expiring")
		sweep("deleted")
	}
	for what, took := range best {
		b.ReportMetric(float64(took)/flows, "ns/"+what)
	}
	b.ReportMetric(0, "ns/op")
}
