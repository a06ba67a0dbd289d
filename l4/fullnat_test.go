package l4

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

// pools are local addresses of a rig.
var pools = []netip.Prefix{netip.MustParsePrefix("198.18.2.224/28"), netip.MustParsePrefix("2001:2::2e0/124")}

// fullnat has one service whose backends listen on natPort.
func (k kind) fullnat(backends ...lb.Backend) lb.Snapshot {
	s := k.nat(backends...)
	s.Services[0].Forward = lb.FullNAT
	return s
}

// senderOf reads source and port of a packet.
func (k kind) senderOf(packet []byte) netip.AddrPort {
	at, size, transport := 26, 4, 34
	if k.six {
		at, size, transport = 22, 16, 54
	}
	addr, _ := netip.AddrFromSlice(packet[at : at+size])
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(packet[transport:]))
}

// replaced is the request as backend i gets it from a local end.
func (s *segment) replaced(i int, local netip.AddrPort) *segment {
	s.tcp.SrcPort, s.udp.SrcPort = layers.TCPPort(local.Port()), layers.UDPPort(local.Port())
	return s.translated(i).source(local.Addr())
}

// replyTo is what backend i sends to a local end.
func (k kind) replyTo(i int, local netip.AddrPort, flags ...string) *segment {
	return k.reply(i, int(local.Port()), flags...).target(local.Addr())
}

// restored is the reply as the client gets it at its port.
func (s *segment) restored(port int) *segment {
	s.tcp.DstPort, s.udp.DstPort = layers.TCPPort(port), layers.UDPPort(port)
	return s.untranslated().target(s.client())
}

// begin sends a client's first packet and returns the local end that its flow got.
func (r *rig) begin(k kind, port int) netip.AddrPort {
	r.Helper()
	got := r.send(k.from(port, "SYN").bytes())
	if got.action != xdpTx {
		r.Fatalf("port %d: action %d, %s", port, got.action, got.verdict)
	}
	return k.senderOf(got.out)
}

// Requests and replies come out with both ends replaced, compared byte for byte with
// what gopacket builds, whatever the checksums carry.
func TestFullNATTranslatesBothWays(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			r := newRig(t)
			r.apply(k.fullnat(backend(1)))
			local := r.begin(k, 40000)
			pool := pools[0]
			if k.six {
				pool = pools[1]
			}
			if !pool.Contains(local.Addr()) || local.Port() < firstPoolPort {
				t.Fatalf("the backend sees %s, want one of %s", local, pool)
			}
			for i := range 500 {
				fill := func(s *segment) {
					s.ip.Id = uint16(i * 7919)
					s.tcp.Seq = uint32(i) * 2654435761
					s.payload = []byte{byte(i * 31), byte(i * 17 >> 3), byte(i >> 2), byte(i), byte(i * 5)}
				}
				request := k.from(40000, "ACK").set(fill)
				got := r.send(request.bytes())
				want := request.replaced(1, local).ttl(63).bytes()
				if got.action != xdpTx || got.verdict != "KNOWN_FLOW" || !bytes.Equal(got.out, want) {
					t.Fatalf("request %d: action %d (%s)\n got %x\nwant %x", i, got.action, got.verdict, got.out, want)
				}
				reply := k.replyTo(1, local, "SYN", "ACK").set(fill)
				got = r.send(reply.bytes())
				want = reply.restored(40000).ttl(63).bytes()
				if got.action != xdpTx || got.verdict != "REPLY" || !bytes.Equal(got.out, want) {
					t.Fatalf("reply %d: action %d (%s)\n got %x\nwant %x", i, got.action, got.verdict, got.out, want)
				}
			}
			if c := r.service("web").Counters; c.Connections != 1 || c.PacketsIn != 501 || c.PacketsOut != 500 {
				t.Errorf("counted %+v", c)
			}
			if got := r.entries(); got != 2 {
				t.Errorf("%d entries in the flow table, want one for each direction", got)
			}
		})
	}
}

// Without a pool it is the balancer's own address, with ports that its stack leaves alone.
func TestFullNATByTheBalancersOwnAddress(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.options.LocalAddresses = nil
		r.empty()
		r.apply(k.fullnat(backends(2)...))
		for port := 1; port <= 50; port++ {
			if local := r.begin(k, port); local.Addr() != k.of(balancer) || local.Port() < r.ownPorts.first || r.ownPorts.first <= 32768 {
				t.Errorf("%s: the backend sees %s, want %s and a port from %d", k, local, k.of(balancer), r.ownPorts.first)
			}
		}
		r.leave()
	}
}

// Whatever the client does, it keeps its port for as long as its flow is remembered,
// and nobody else has it at that backend.
func TestFullNATKeepsAPort(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.apply(k.fullnat(backend(1)))
		local := r.begin(k, 1)
		for i, flags := range [][]string{{"SYN"}, {"ACK"}, {"FIN", "ACK"}, {"SYN"}, {"ACK"}, {"RST"}, {"SYN"}} {
			r.age(time.Second)
			got := r.send(k.from(1, flags...).bytes())
			if got.action != xdpTx || k.senderOf(got.out) != local {
				t.Errorf("%s, step %d: %s from %s, want it from %s", k, i, got.verdict, k.senderOf(got.out), local)
			}
		}
		if r.entries() != 2 {
			t.Errorf("%s: %d entries, want 2", k, r.entries())
		}
		ok(t, r.recount())
		r.age(DefaultTimeouts.TCP + time.Second)
		r.sweep()
		if r.entries() != 0 {
			t.Errorf("%s: %d entries when it is long idle, want 0", k, r.entries())
		}
		if got := r.send(k.replyTo(1, local, "ACK").bytes()); got.action != xdpPass || got.verdict != "NOT_VIP" {
			t.Errorf("%s: a reply of a forgotten flow: action %d, %s", k, got.action, got.verdict)
		}
		r.leave()
	}
}

// When its ports are used up at a backend, a client is dropped by name, and served
// once another is forgotten. What others have at another backend does not count.
func TestFullNATRunsOutOfPorts(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.apply(k.fullnat(backend(1)))
		r.fewPorts(20, 1)
		seen := map[netip.AddrPort]bool{}
		for port := 1; port <= 20; port++ {
			seen[r.begin(k, port)] = true
		}
		if len(seen) != 20 {
			t.Fatalf("%s: 20 clients have %d local ends", k, len(seen))
		}
		if got := r.send(k.from(21, "SYN").bytes()); got.action != xdpDrop || got.verdict != "NO_LOCAL_PORT" {
			t.Errorf("%s, one too many: action %d, %s", k, got.action, got.verdict)
		}
		if r.entries() != 40 {
			t.Errorf("%s: %d entries, want 40", k, r.entries())
		}
		r.age(DefaultTimeouts.TCP + time.Second)
		r.sweep()
		r.begin(k, 21)
		ok(t, r.recount())
		r.leave()
	}
}

// fewPorts leaves so many ports of so many addresses to the only backend.
func (r *rig) fewPorts(n uint16, addresses int) {
	r.Helper()
	r.mu.Lock() // refreshHops runs beside this
	defer r.mu.Unlock()
	m := r.state.services[0].members[0]
	next := m.backend
	next.Ports = n
	if addresses == 1 {
		next.Vary = 0
	}
	ok(r, r.writeMember(m, next))
}

// Thousands of clients, several CPUs: no two have the same local end.
func TestFullNATPortsAreOneClientsEach(t *testing.T) {
	k := kind{proto: lb.TCP}
	r := newRig(t)
	r.apply(k.fullnat(backend(1)))
	r.fewPorts(400, 16)
	const clients = 4000
	locals := make([][2]netip.AddrPort, clients)
	var all sync.WaitGroup
	for worker := range 2 {
		all.Go(func() {
			err := r.ns.Do(func() error {
				for i := range clients {
					got, err := r.run(k.from(i+1, "SYN").bytes())
					if err != nil {
						return err
					}
					if got.action == xdpTx {
						locals[i][worker] = k.senderOf(got.out)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	owners := map[netip.AddrPort]int{}
	dropped := 0
	for i := range locals {
		got := r.send(k.from(i+1, "ACK").bytes())
		if got.action != xdpTx {
			dropped++
			continue
		}
		local := k.senderOf(got.out)
		if other, taken := owners[local]; taken {
			t.Fatalf("clients %d and %d both have %s", other+1, i+1, local)
		}
		owners[local] = i
		for worker, was := range locals[i] {
			if was.IsValid() && was != local {
				t.Errorf("client %d had %s on CPU %d, and has %s", i+1, was, worker, local)
			}
		}
	}
	if dropped > clients/100 {
		t.Errorf("%d of %d clients dropped, with %d ports", dropped, clients, 6400)
	}
	ok(t, r.recount())
	r.sweep()
	if live := clients - dropped; r.entries() != 2*live {
		t.Errorf("%d entries of %d flows: what was claimed in vain is not forgotten", r.entries(), live)
	}
}

// A flow that goes to another backend has a port there, and none where it was.
func TestFullNATFlowMovesWithItsReplies(t *testing.T) {
	for _, k := range kinds {
		for name, change := range map[string]func(*lb.Backend){"down": down, "disabled": disabled} {
			r := newRig(t)
			r.apply(k.fullnat(backends(2)...))
			local := r.begin(k, 1)
			r.apply(k.fullnat(with(backend(1), change), backend(2)))
			if got := r.send(k.replyTo(1, local, "ACK").bytes()); got.verdict != "STALE_REPLY" {
				t.Errorf("%s, %s: %s, want STALE_REPLY", k, name, got.verdict)
			}
			got := r.send(k.from(1, "ACK").bytes())
			now := k.senderOf(got.out)
			if want := k.from(1, "ACK").replaced(2, now).ttl(63).bytes(); got.verdict != "MOVED_FLOW" || !bytes.Equal(got.out, want) {
				t.Errorf("%s, %s: %s\n got %x\nwant %x", k, name, got.verdict, got.out, want)
			}
			if got := r.send(k.replyTo(2, now, "RST").bytes()); got.verdict != "REPLY" {
				t.Errorf("%s, %s: %s, want REPLY", k, name, got.verdict)
			}
			if got := r.send(k.replyTo(1, local, "ACK").bytes()); got.verdict != "NOT_VIP" {
				t.Errorf("%s, %s: the old backend: %s, want NOT_VIP", k, name, got.verdict)
			}
			ok(t, r.recount())
			r.leave()
		}
	}
}

// A flow whose port has become another's begins anew, before a packet of it reaches the other's connection.
func TestFullNATFlowThatHasLostItsPort(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.apply(k.fullnat(backend(1)))
		local := r.begin(k, 1)
		r.begin(k, 2)
		r.stealPort(k, 1, 2)
		time.Sleep(20 * time.Millisecond) // what was looked at in this jiffy is believed
		got := r.send(k.from(1, "ACK").bytes())
		if got.action != xdpTx || k.senderOf(got.out) == local {
			t.Errorf("%s: action %d, %s, from %s, want another than %s", k, got.action, got.verdict, k.senderOf(got.out), local)
		}
		ok(t, r.recount())
		r.leave()
	}
}

// stealPort makes the entry for the replies to one client's port that of another's.
func (r *rig) stealPort(k kind, from, to uint16) {
	r.Helper()
	change := func(f *xdpFlow) bool {
		if f.kind() != xdpFlowKindREPLIES || f.Pport != toPort(from) {
			return false
		}
		f.Pport = toPort(to)
		return true
	}
	r.eachFlow(func(e flowEntry) {
		if change(&e.flow) {
			r.put(e)
		}
	})
}

// Both ends are told of a backend that is gone, at the port that the backend knows.
func TestFullNATResets(t *testing.T) {
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		r := newRig(t)
		s := k.fullnat(backends(2)...)
		s.Services[0].L4.Lost = lb.LostResets
		r.apply(s)
		local := r.begin(k, 1)
		r.send(k.from(1, "ACK").bytes())
		s = k.fullnat(with(backend(1), disabled), backend(2))
		s.Services[0].L4.Lost = lb.LostResets
		r.apply(s)
		got := r.send(k.from(1, "ACK").bytes())
		want := k.from(1, "RST", "ACK").replaced(1, local).ttl(63).bytes()
		if got.verdict != "RESET_BACKEND" || !bytes.Equal(got.out, want) {
			t.Errorf("%s: %s\n got %x\nwant %x", k, got.verdict, got.out, want)
		}
		for port, f := range r.flows() {
			if f.state() != xdpFlowStateCLOSED {
				t.Errorf("%s: the entry of source port %d is in state %d, want it closed", k, port, f.state())
			}
		}
		if got := r.send(k.from(1, "ACK").bytes()); got.verdict != "RESET_CLIENT" {
			t.Errorf("%s: %s", k, got.verdict)
		}
		r.leave()
	}
}

// A RST of no flow goes nowhere; what else is of none gets a port.
func TestFullNATOfNoFlow(t *testing.T) {
	k := kind{proto: lb.TCP}
	r := newRig(t)
	r.apply(k.fullnat(backend(1)))
	if got := r.send(k.from(1, "RST").bytes()); got.action != xdpDrop || got.verdict != "NO_LOCAL_PORT" {
		t.Errorf("RST: action %d, %s", got.action, got.verdict)
	}
	if got := r.send(k.from(1, "ACK").bytes()); got.action != xdpTx || got.verdict != "ADOPTED" {
		t.Errorf("ACK: action %d, %s", got.action, got.verdict)
	}
	r.options.MaxFlows = 1
	r.empty()
	r.apply(k.fullnat(backend(1)))
	if got := r.send(k.from(2, "SYN").bytes()); got.action != xdpDrop || got.verdict != "NO_ROOM" {
		t.Errorf("no room: action %d, %s", got.action, got.verdict)
	}
}

// option is what tells of the client at a port.
func (k kind) option(port int) layers.TCPOption {
	data := binary.BigEndian.AppendUint16(nil, uint16(port))
	data = append(data, k.client().AsSlice()...)
	return layers.TCPOption{OptionType: 254, OptionLength: uint8(2 + len(data)), OptionData: data}
}

// The handshake of a client bears its address, first among the options, until the
// backend has said more than SYN.
func TestTOA(t *testing.T) {
	mss := layers.TCPOption{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}}
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		t.Run(k.String(), func(t *testing.T) {
			r := newRig(t)
			s := k.fullnat(backend(1))
			s.Services[0].L4.TOA = true
			r.apply(s)
			var local netip.AddrPort
			send := func(name string, told bool, in *segment, spoofed ...layers.TCPOption) {
				t.Helper()
				in.tcp.Options = append(in.tcp.Options, spoofed...)
				got := r.send(in.bytes())
				if got.action != xdpTx {
					t.Fatalf("%s: action %d, %s", name, got.action, got.verdict)
				}
				local = k.senderOf(got.out)
				for i := range in.tcp.Options {
					if in.tcp.Options[i].OptionType == 254 {
						in.tcp.Options[i].OptionType = 253
					}
				}
				if told {
					in.tcp.Options = append([]layers.TCPOption{k.option(7)}, in.tcp.Options...)
				}
				want := in.replaced(1, local).ttl(63).bytes()
				if out, padding := got.out[:min(len(want), len(got.out))], got.out[min(len(want), len(got.out)):]; !bytes.Equal(out, want) ||
					len(padding) > 6 || len(bytes.Trim(padding, "\x00")) > 0 { // Ethernet's, of a short frame
					t.Errorf("%s (%s)\n got %x\nwant %x", name, got.verdict, got.out, want)
				}
			}
			fill := func(n int) func(*segment) {
				return func(s *segment) { s.payload = bytes.Repeat([]byte{7, 1, 3}, n)[:n] }
			}
			with := func(n int, options ...layers.TCPOption) func(*segment) {
				return func(s *segment) {
					for range n {
						s.tcp.Options = append(s.tcp.Options, mss)
					}
					s.tcp.Options = append(s.tcp.Options, options...)
				}
			}
			room := (40 - int(k.option(7).OptionLength)) / 4
			send("SYN", true, k.from(7, "SYN").set(with(1)))
			send("SYN again", true, k.from(7, "SYN"))
			send("a full SYN", false, k.from(7, "SYN").set(with(10)))
			send("a SYN with room for it alone", true, k.from(7, "SYN").set(with(room)))
			send("a SYN with a word too little", false, k.from(7, "SYN").set(with(room+1)))
			if got := r.send(k.replyTo(1, local, "SYN", "ACK").bytes()); got.verdict != "REPLY" {
				t.Fatal(got.verdict)
			}
			send("ACK", true, k.from(7, "ACK"))
			nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop, OptionLength: 1}
			send("a client's own", true, k.from(7, "ACK").set(with(0, k.option(99))))
			send("a client's own, at an odd place", true, k.from(7, "ACK").set(with(0, nop, layers.TCPOption{OptionType: 254, OptionLength: 3, OptionData: []byte{1}})))
			send("data", true, k.from(7, "ACK").set(fill(100)))
			send("data of an odd length", true, k.from(7, "ACK").set(fill(101)))
			headers := 40
			if k.six {
				headers = 60
			}
			send("data that leaves just the room", true, k.from(7, "ACK").set(fill(1500-headers-int(k.option(7).OptionLength))))
			send("data that leaves no room", false, k.from(7, "ACK").set(fill(1500-headers-int(k.option(7).OptionLength)+1)))
			send("a FIN", true, k.from(7, "FIN", "ACK"))
			if got := r.send(k.replyTo(1, local, "ACK").bytes()); got.verdict != "REPLY" {
				t.Fatal(got.verdict)
			}
			send("an ACK after an answer", false, k.from(7, "ACK"))
			send("a RST", false, k.from(7, "RST"))
			send("another connection from the same port", true, k.from(7, "SYN").set(with(1)))
		})
	}
}

// UDP of a service that tells goes without.
func TestTOAIsForTCP(t *testing.T) {
	r := newRig(t)
	k := kind{proto: lb.UDP}
	s := k.fullnat(backend(1))
	s.Services[0].L4.TOA = true
	if err := r.Apply(t.Context(), s); err == nil {
		t.Error("toa is accepted for a service of UDP alone")
	}
	if err := ValidatePool(netip.MustParsePrefix("10.0.0.0/16")); err == nil {
		t.Error("a pool of 65,536 addresses is accepted")
	}
}

// Errors reach whom they are about, with what they quote as that has sent it. To a backend
// they bear the local address, whoever has sent them.
func TestFullNATTranslatesErrors(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.apply(k.fullnat(backends(2)...))
		local := r.begin(k, 7)
		data := func(s *segment) { s.payload = []byte("some data that is quoted") }
		for _, e := range icmpErrors[k.six] {
			for _, short := range []bool{false, true} {
				m := k.message(e.typ, e.code, e.rest, quoted(k.replyTo(1, local, "ACK").set(data).restored(7).bytes(), short))
				got := r.send(m.bytes())
				m.src, m.dst, m.from, m.to, m.ttl = local.Addr(), k.of(backendAddr(1)), portMAC, backendMAC(1), 63
				m.quote = quoted(k.replyTo(1, local, "ACK").set(data).bytes(), short)
				if want := m.bytes(); got.action != xdpTx || got.verdict != "ERROR_TO_BACKEND" || !bytes.Equal(got.out, want) {
					t.Errorf("%s, %s to the backend: action %d, %s\n got %x\nwant %x", k, e.name, got.action, got.verdict, got.out, want)
				}
				for _, from := range []netip.Addr{k.of(netip.MustParseAddr("198.18.4.254")), k.of(backendAddr(1))} {
					m = k.message(e.typ, e.code, e.rest, quoted(k.from(7, "ACK").set(data).replaced(1, local).bytes(), short))
					m.src, m.dst, m.from = from, local.Addr(), backendMAC(1)
					got = r.send(m.bytes())
					if from == k.of(backendAddr(1)) {
						m.src = k.vip().Addr()
					}
					m.dst, m.from, m.to, m.ttl = k.client(), portMAC, clientMAC, 63
					m.quote = quoted(k.from(7, "ACK").set(data).via(portMAC, backendMAC(1)).bytes(), short)
					if want := m.bytes(); got.action != xdpTx || got.verdict != "ERROR_TO_CLIENT" || !bytes.Equal(got.out, want) {
						t.Errorf("%s, %s to the client: action %d, %s\n got %x\nwant %x", k, e.name, got.action, got.verdict, got.out, want)
					}
				}
			}
		}
		r.leave()
	}
}
