package l4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

const natPort = 8080

// nat has one service whose backends listen on natPort.
func (k kind) nat(backends ...lb.Backend) lb.Snapshot {
	s := k.snapshot(lb.RoundRobin, backends...)
	v := &s.Services[0]
	v.Forward = lb.NAT
	for i := range v.Backends {
		v.Backends[i].Addr = netip.AddrPortFrom(v.Backends[i].Addr.Addr(), natPort)
	}
	return s
}

// translated is the request as backend i gets it.
func (s *segment) translated(i int) *segment {
	s.tcp.DstPort, s.udp.DstPort = natPort, natPort
	return s.target(s.of(backendAddr(i))).via(portMAC, backendMAC(i))
}

// reply is what backend i sends to the client's port, on its way to the balancer.
func (k kind) reply(i, port int, flags ...string) *segment {
	s := k.from(port, flags...).source(k.of(backendAddr(i))).target(k.client()).via(backendMAC(i), portMAC)
	s.tcp.SrcPort, s.tcp.DstPort = natPort, layers.TCPPort(port)
	s.udp.SrcPort, s.udp.DstPort = natPort, layers.UDPPort(port)
	return s
}

// untranslated is the reply as the client gets it.
func (s *segment) untranslated() *segment {
	s.tcp.SrcPort, s.udp.SrcPort = layers.TCPPort(vip.Port()), layers.UDPPort(vip.Port())
	return s.source(s.vip().Addr()).via(portMAC, clientMAC)
}

// Requests and replies come out translated, compared byte for byte with what
// gopacket builds, whatever the checksums carry.
func TestNATTranslatesBothWays(t *testing.T) {
	headers := map[kind]int{{false, lb.TCP}: 40, {true, lb.TCP}: 60, {false, lb.UDP}: 28, {true, lb.UDP}: 48}
	shared := newRig(t)
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			r := shared.again(t)
			r.apply(k.nat(backend(1)))
			const n = 2000
			for i := range n {
				fill := func(s *segment) {
					s.ip.Id = uint16(i * 7919)
					s.tcp.Seq = uint32(i) * 2654435761
					s.payload = []byte{byte(i * 31), byte(i * 17 >> 3), byte(i >> 2), byte(i), byte(i * 5)}
				}
				request := k.from(40000, "ACK").set(fill)
				got := r.send(request.bytes())
				want := request.translated(1).ttl(63).bytes()
				if got.action != xdpTx || !bytes.Equal(got.out, want) {
					t.Fatalf("request %d: action %d (%s)\n got %x\nwant %x", i, got.action, got.verdict, got.out, want)
				}
				reply := k.reply(1, 40000, "SYN", "ACK").set(fill)
				got = r.send(reply.bytes())
				want = reply.untranslated().ttl(63).bytes()
				if got.action != xdpTx || got.verdict != "REPLY" || !bytes.Equal(got.out, want) {
					t.Fatalf("reply %d: action %d (%s)\n got %x\nwant %x", i, got.action, got.verdict, got.out, want)
				}
				if i == 0 {
					checkSums(t, got.out)
				}
			}
			size := uint64(n * (headers[k] + 5))
			c := r.service("web").Counters
			want := lb.Counters{Connections: 1, PacketsIn: n, BytesIn: size, PacketsOut: n, BytesOut: size}
			if want.Active = 1; k.proto == lb.UDP {
				want.Active, want.Inactive = 0, 1
			}
			if c != want {
				t.Errorf("counted %+v, want %+v", c, want)
			}
			if got := r.entries(); got != 2 {
				t.Errorf("%d entries in the flow table, want one for each direction", got)
			}
		})
	}
}

// The sums that fold to 0: TCP leaves it, UDP writes 0xffff, and no checksum
// stays none.
func TestNATMendsChecksumsAtTheEdge(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.apply(k.nat(backend(1)))
		packet := func(payload uint16) *segment {
			return k.from(40000, "ACK").set(func(s *segment) { s.payload = []byte{byte(payload >> 8), byte(payload)} })
		}
		zero := packet(0).translated(1).bytes()
		sum := len(zero) - 2 - 4 // TCP: checksum, urgent pointer, payload
		if k.proto == lb.UDP {
			sum = len(zero) - 2 - 2
		}
		// What makes the sum 0 is what is missing from it.
		missing := binary.BigEndian.Uint16(zero[sum:])
		edges := 0
		for i := missing - 300; i != missing+300; i++ {
			s := packet(i)
			in := s.bytes()
			want := s.translated(1).ttl(63).bytes()
			if want[sum] == want[sum+1] && (want[sum] == 0 || want[sum] == 0xff) {
				edges++
			}
			if got := r.send(in); !bytes.Equal(got.out, want) {
				t.Fatalf("%s, payload %x (%s)\n got %x\nwant %x", k, i, got.verdict, got.out, want)
			}
		}
		if edges == 0 {
			t.Errorf("%s: the test means little: no checksum was 0 or 0xffff", k)
		}
		r.leave()
	}
	k := kind{false, lb.UDP}
	r := newRig(t)
	r.apply(k.nat(backend(1)))
	for _, in := range [][]byte{k.from(1).bytes(set16(atPort+6, 0)), k.reply(1, 1).bytes(set16(atPort+6, 0))} {
		if got := r.send(in); got.action != xdpTx || got.out[atPort+6] != 0 || got.out[atPort+7] != 0 {
			t.Errorf("without a checksum: action %d (%s), came out with %x", got.action, got.verdict, got.out[atPort+6:atPort+8])
		}
	}
}

// Replies go back to the interface and host that the client's packets came from.
func TestNATBetweenInterfaces(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		far := with(backend(101), func(b *lb.Backend) { b.Addr = netip.AddrPortFrom(farAddr, natPort) })
		r.apply(k.nat(far))
		request := k.from(40000, "SYN")
		got := r.send(request.bytes())
		want := request.translated(0).target(k.of(farAddr)).via(otherMAC, backendMAC(101)).ttl(63).bytes()
		if got.action != xdpRedirect || got.verdict != "NEW_FLOW" || !bytes.Equal(got.out, want) {
			t.Errorf("%s: action %d, verdict %s\n got %x\nwant %x", k, got.action, got.verdict, got.out, want)
		}
		reply := k.reply(0, 40000, "SYN", "ACK").source(k.of(farAddr)).via(backendMAC(101), otherMAC)
		eth0 := r.ifindex
		r.ifindex = r.eth1
		got = r.send(reply.bytes())
		want = reply.untranslated().ttl(63).bytes()
		if got.action != xdpRedirect || got.verdict != "REPLY" || !bytes.Equal(got.out, want) {
			t.Errorf("%s reply: action %d, verdict %s\n got %x\nwant %x", k, got.action, got.verdict, got.out, want)
		}
		// The client's packets come by another router: replies follow within a jiffy.
		r.ifindex = eth0
		time.Sleep(20 * time.Millisecond)
		r.send(k.from(40000, "ACK").via(backendMAC(9), portMAC).bytes())
		r.ifindex = r.eth1
		if got = r.send(reply.source(k.of(farAddr)).set(func(s *segment) { s.tcp.SrcPort, s.udp.SrcPort = natPort, natPort }).via(backendMAC(101), otherMAC).bytes()); !bytes.Equal(got.out[:6], backendMAC(9)) {
			t.Errorf("%s: the reply goes to %x (%s), want the client's new router %s", k, got.out[:6], got.verdict, backendMAC(9))
		}
		r.leave()
	}
}

// Under NAT both directions show the state of a connection.
func TestNATFollowsBothDirections(t *testing.T) {
	shared := newRig(t)
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		open := [][]byte{k.from(1, "SYN").bytes(), k.reply(1, 1, "SYN", "ACK").bytes(), k.from(1, "ACK").bytes()}
		rows := []struct {
			name   string
			last   []byte
			state  xdpFlowState
			active uint64
		}{
			{"open", k.from(1, "ACK").bytes(), xdpFlowStateESTABLISHED, 1},
			{"FIN of the client", k.from(1, "FIN", "ACK").bytes(), xdpFlowStateCLOSE_WAIT, 0},
			{"FIN of the backend", k.reply(1, 1, "FIN", "ACK").bytes(), xdpFlowStateFIN_WAIT, 0},
			{"RST of the client", k.from(1, "RST").bytes(), xdpFlowStateCLOSED, 0},
			{"RST of the backend", k.reply(1, 1, "RST").bytes(), xdpFlowStateCLOSED, 0},
		}
		for _, row := range rows {
			t.Run(fmt.Sprint(k, " ", row.name), func(t *testing.T) {
				r := shared.again(t)
				r.apply(k.nat(backends(2)...))
				for i, packet := range append(open, row.last) {
					if got := r.send(packet); got.action != xdpTx {
						t.Fatalf("packet %d: action %d, %s", i, got.action, got.verdict)
					}
				}
				stats, err := r.Stats()
				ok(t, err)
				for port, f := range r.flows() {
					if f.state() != row.state {
						t.Errorf("the entry of source port %d is in state %d, want %d", port, f.state(), row.state)
					}
				}
				if got := stats.Services[0].Counters.Active; got != row.active || stats.Flows != 1 || r.entries() != 2 {
					t.Errorf("%d active, of %d, in %d entries, want %d of 1 in 2", got, stats.Flows, r.entries(), row.active)
				}
				r.age(DefaultTimeouts.TCP + time.Second)
				r.sweep()
				if c := r.service("web").Counters; c.Active+c.Inactive != 0 || r.entries() != 0 {
					t.Errorf("long idle: %+v, %d entries, want none", c, r.entries())
				}
			})
		}
	}
}

// Replies alone keep a flow of datagrams from growing old.
func TestNATRepliesKeepAFlow(t *testing.T) {
	k := kind{false, lb.UDP}
	r := newRig(t)
	r.apply(k.nat(backends(2)...))
	r.send(k.from(1).bytes())
	for range 4 {
		r.age(DefaultTimeouts.UDP * 2 / 3)
		if got := r.send(k.reply(1, 1).bytes()); got.verdict != "REPLY" {
			t.Fatalf("reply: %s", got.verdict)
		}
	}
	if got := r.send(k.from(1).bytes()); got.verdict != "KNOWN_FLOW" {
		t.Errorf("a request after replies: %s, want KNOWN_FLOW", got.verdict)
	}
}

// When the table has lost a reply's entry, the next request makes it again.
func TestNATMakesALostEntryAgain(t *testing.T) {
	k := kind{true, lb.TCP}
	r := newRig(t)
	r.apply(k.nat(backend(1)))
	r.send(k.from(1, "SYN").bytes())
	r.lose(func(e flowEntry) bool { return e.flow.kind() == xdpFlowKindREPLIES })
	if got := r.send(k.reply(1, 1, "ACK").bytes()); got.verdict != "NOT_VIP" {
		t.Fatalf("the test means nothing: %s", got.verdict)
	}
	r.send(k.from(1, "ACK").bytes())
	if got := r.send(k.reply(1, 1, "ACK").bytes()); got.verdict != "REPLY" {
		t.Errorf("after another request: %s, want REPLY", got.verdict)
	}
}

// A server may be a backend of both ways of forwarding.
func TestNATBesideDirectRouting(t *testing.T) {
	shared := newRig(t)
	for _, k := range kinds {
		r := shared.again(t)
		s := k.nat(backend(1))
		dr := k.snapshot(lb.RoundRobin, with(backend(1), func(b *lb.Backend) { b.ID = 7 })).Services[0]
		dr.Name, dr.VIP.Addr = "dr", netip.AddrPortFrom(k.of(netip.MustParseAddr("198.18.3.2")), 80)
		s.Services = append(s.Services, dr)
		r.apply(s)
		in := k.from(1, "SYN").target(dr.VIP.Addr.Addr())
		got := r.send(in.bytes())
		if want := in.via(portMAC, backendMAC(1)).ttl(63).bytes(); !bytes.Equal(got.out, want) {
			t.Errorf("%s by dr (%s)\n got %x\nwant %x", k, got.verdict, got.out, want)
		}
		if got := r.send(k.from(1, "SYN").bytes()); got.verdict != "NEW_FLOW" {
			t.Errorf("%s by nat: %s", k, got.verdict)
		}
		if got := r.send(k.reply(1, 1, "SYN", "ACK").bytes()); got.verdict != "REPLY" {
			t.Errorf("%s reply: %s", k, got.verdict)
		}
	}
}

// A daemon that comes back has the backends' replies recognised as before, and
// a removed service leaves nothing behind.
func TestNATIsAdoptedAndRemoved(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		r.apply(k.nat(backends(2)...))
		r.send(k.from(1, "SYN").bytes())
		before, err := r.Stats()
		ok(t, err)
		r.reopen()
		after, err := r.Stats()
		ok(t, err)
		if fmt.Sprint(before.Services) != fmt.Sprint(after.Services) {
			t.Errorf("%s: statistics before a restart %+v, after it %+v", k, before.Services, after.Services)
		}
		if got := r.send(k.reply(1, 1, "SYN", "ACK").bytes()); got.verdict != "REPLY" {
			t.Errorf("%s: a reply after a restart: %s", k, got.verdict)
		}
		r.apply(k.nat(backends(2)...))
		if got := r.send(k.reply(1, 1, "ACK").bytes()); got.verdict != "REPLY" {
			t.Errorf("%s: a reply after another Apply: %s", k, got.verdict)
		}
		r.apply(lb.Snapshot{Revision: 1 << 20})
		fresh, err := readState(&r.objects.xdpMaps)
		ok(t, err)
		for i, bits := range fresh.filter {
			if bits != 0 {
				t.Errorf("%s: word %d of the filter is %#x", k, i, bits)
			}
		}
		if got := r.send(k.reply(1, 1, "ACK").bytes()); got.action != xdpPass || got.verdict != "NOT_VIP" {
			t.Errorf("%s: a reply of a removed service: action %d, %s", k, got.action, got.verdict)
		}
		r.leave()
	}
}
