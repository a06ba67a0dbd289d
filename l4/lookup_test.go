package l4

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

// to changes what a packet is addressed to.
func (s *segment) to(a netip.AddrPort) *segment {
	s.tcp.DstPort, s.udp.DstPort = layers.TCPPort(a.Port()), layers.UDPPort(a.Port())
	return s.target(a.Addr())
}

// match is a Match of the kind's protocol, its prefix as long as that in IPv4 would be.
func (k kind) match(addr string, bits int, first, last uint16) lb.Match {
	a := k.of(netip.MustParseAddr(addr))
	if k.six {
		bits += 96
	}
	return lb.Match{Prefix: netip.PrefixFrom(a, bits), First: first, Last: last, Proto: k.proto}
}

// service is one that has these Matches and no VIP; its one backend is number i.
func (k kind) service(i int, all ...lb.Match) lb.Service {
	s := k.snapshot(lb.RoundRobin, backend(i)).Services[0]
	s.Name = fmt.Sprintf("service%d", i)
	s.VIP, s.L4.Also = lb.VIP{}, all
	s.Backends[0].Addr = netip.AddrPortFrom(s.Backends[0].Addr.Addr(), 0)
	return s
}

func snapshotOf(services ...lb.Service) lb.Snapshot {
	return lb.Snapshot{Revision: revision.Add(1), Services: services}
}

// What clients may address beside one address and port, in each kind: which
// service has the packet, 0 for none, and the verdict.
func TestServiceIsFoundByTheMostSpecificMatch(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			r := newRig(t)
			services := []lb.Service{
				k.service(1, k.match("198.18.3.1", 32, 80, 80), k.match("198.18.3.1", 32, 443, 443), k.match("198.18.3.2", 32, 80, 80)),
				k.service(2, k.match("198.18.3.1", 32, 0, 0)),
				k.service(3, k.match("198.18.3.3", 32, 8000, 8099)),
				k.service(4, k.match("198.18.3.3", 32, 8040, 8049)),
				k.service(5, k.match("198.18.100.0", 24, 80, 80)),
				k.service(6, k.match("198.18.100.128", 25, 0, 0)),
				k.service(7, k.match("198.18.100.200", 32, 80, 80)),
			}
			r.apply(snapshotOf(services...))
			rows := []struct {
				to      string
				want    int
				verdict string
			}{
				{"198.18.3.1:80", 1, ""},
				{"198.18.3.1:443", 1, ""},
				{"198.18.3.2:80", 1, ""},
				{"198.18.3.2:443", 0, "NO_SERVICE"},
				{"198.18.3.1:81", 2, ""},
				{"198.18.3.1:65535", 2, ""},
				{"198.18.3.1:1", 2, ""},
				{"198.18.3.3:7999", 0, "NO_SERVICE"},
				{"198.18.3.3:8000", 3, ""},
				{"198.18.3.3:8039", 3, ""},
				{"198.18.3.3:8040", 4, ""},
				{"198.18.3.3:8049", 4, ""},
				{"198.18.3.3:8050", 3, ""},
				{"198.18.3.3:8099", 3, ""},
				{"198.18.3.3:8100", 0, "NO_SERVICE"},
				{"198.18.100.0:80", 5, ""},
				{"198.18.100.127:80", 5, ""},
				{"198.18.100.127:81", 0, "NO_SERVICE"},
				{"198.18.100.128:80", 6, ""},
				{"198.18.100.255:81", 6, ""},
				{"198.18.100.200:80", 7, ""},
				{"198.18.100.200:81", 6, ""},
				{"198.18.101.0:80", 0, "NOT_VIP"},
				{"198.18.99.255:80", 0, "NOT_VIP"},
			}
			for i, row := range rows {
				a := netip.MustParseAddrPort(row.to)
				got := r.send(k.from(2000+i, "SYN").to(netip.AddrPortFrom(k.of(a.Addr()), a.Port())).bytes())
				switch {
				case row.want == 0 && (got.action != xdpPass || got.verdict != row.verdict):
					t.Errorf("%s: %s, want %s", row.to, got.verdict, row.verdict)
				case row.want != 0 && (got.verdict != "NEW_FLOW" || int(got.out[5]) != row.want):
					t.Errorf("%s: %s to backend %d, want NEW_FLOW to %d", row.to, got.verdict, got.out[5], row.want)
				}
			}
			other := kind{six: k.six, proto: lb.TCP}
			if k.proto == lb.TCP {
				other.proto = lb.UDP
			}
			if got := r.send(other.from(1, "SYN").to(netip.AddrPortFrom(k.of(netip.MustParseAddr("198.18.3.1")), 80)).bytes()); got.verdict != "NO_SERVICE" {
				t.Errorf("the other protocol to any port: %s, want NO_SERVICE", got.verdict)
			}
			far := netip.AddrPortFrom(k.of(netip.MustParseAddr("198.18.100.7")), 80)
			if got := r.send(k.from(1, "SYN").to(far).via(clientMAC, backendMAC(1)).bytes()); got.verdict != "NOT_OURS" {
				t.Errorf("a frame to another host, its packet to a prefix: %s, want NOT_OURS", got.verdict)
			}
			if got := r.send(k.from(1, "SYN").to(far).ttl(1).bytes()); got.verdict != "TTL_EXPIRED" {
				t.Errorf("a packet to a prefix with TTL 1: %s, want TTL_EXPIRED", got.verdict)
			}
		})
	}
}

// A prefix of one family has nothing of the other, although ::/0 has ::ffff:0:0/96 in it.
func TestPrefixIsOfOneFamily(t *testing.T) {
	r := newRig(t)
	six := kind{true, lb.TCP}
	r.apply(snapshotOf(six.service(1, lb.Match{Prefix: netip.MustParsePrefix("::/0"), Proto: lb.TCP})))
	if got := r.send(syn(1)); got.verdict != "NOT_VIP" {
		t.Errorf("IPv4 to a service of ::/0: %s, want NOT_VIP", got.verdict)
	}
	if got := r.send(six.from(1, "SYN").bytes()); got.verdict != "NEW_FLOW" {
		t.Errorf("IPv6 to it: %s, want NEW_FLOW", got.verdict)
	}
	r.apply(snapshotOf(kind{proto: lb.TCP}.service(1, lb.Match{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Proto: lb.TCP})))
	if got := r.send(syn(2)); got.verdict != "NEW_FLOW" {
		t.Errorf("IPv4 to a service of 0.0.0.0/0: %s, want NEW_FLOW", got.verdict)
	}
	if got := r.send(six.from(2, "SYN").bytes()); got.verdict != "NOT_VIP" {
		t.Errorf("IPv6 to it: %s, want NOT_VIP", got.verdict)
	}
}

// The balancer itself, and what its proxy listens on, stay within reach inside
// a prefix: or else its own connections would end with the first reply.
func TestPrefixLeavesTheBalancerAlone(t *testing.T) {
	for _, k := range kinds {
		r := newRig(t)
		proxy := lb.Service{Name: "proxy", Plane: lb.L7, VIP: lb.VIP{Addr: netip.AddrPortFrom(k.of(netip.MustParseAddr("198.18.3.7")), 80), Proto: k.proto}}
		r.apply(snapshotOf(proxy, k.service(1, lb.Match{Prefix: netip.PrefixFrom(k.vip().Addr(), 0).Masked(), Proto: k.proto}), k.service(2, k.match("198.18.3.7", 32, 0, 0))))
		for to, want := range map[netip.AddrPort]string{
			netip.AddrPortFrom(k.of(balancer), 4000):                           "NOT_VIP",
			netip.AddrPortFrom(k.of(netip.MustParseAddr("198.18.16.1")), 4000): "NOT_VIP",
			proxy.VIP.Addr: "NO_SERVICE",
			netip.AddrPortFrom(proxy.VIP.Addr.Addr(), 81):                       "NEW_FLOW",
			netip.AddrPortFrom(k.of(netip.MustParseAddr("198.18.99.99")), 4000): "NEW_FLOW",
		} {
			if got := r.send(k.from(1, "SYN").to(to).bytes()); got.verdict != want {
				t.Errorf("%s to %s: %s, want %s", k, to, got.verdict, want)
			}
		}
	}
}

// Under nat a flow comes back from what the client had asked for, and a backend
// without a port gets the client's.
func TestNATAnswersFromWhatWasAskedFor(t *testing.T) {
	for _, k := range kinds {
		for _, port := range []uint16{0, natPort} {
			t.Run(fmt.Sprintf("%s, port %d", k, port), func(t *testing.T) {
				r := newRig(t)
				s := k.service(1, k.match("198.18.3.1", 32, 80, 80), k.match("198.18.3.2", 32, 8000, 8099), k.match("198.18.100.0", 24, 0, 0))
				s.Forward = lb.NAT
				s.Backends[0].Addr = netip.AddrPortFrom(s.Backends[0].Addr.Addr(), port)
				r.apply(snapshotOf(s))
				for i, text := range []string{"198.18.3.1:80", "198.18.3.2:8000", "198.18.3.2:8099", "198.18.100.9:9", "198.18.100.255:443"} {
					a := netip.MustParseAddrPort(text)
					to := netip.AddrPortFrom(k.of(a.Addr()), a.Port())
					at := port
					if at == 0 {
						at = to.Port()
					}
					server := netip.AddrPortFrom(k.of(backendAddr(1)), at)
					for _, flags := range [][]string{{"SYN"}, {"ACK"}} {
						got := r.send(k.from(3000+i, flags...).to(to).bytes())
						want := k.from(3000+i, flags...).to(server).via(portMAC, backendMAC(1)).ttl(63).bytes()
						if got.action != xdpTx || !bytes.Equal(got.out, want) {
							t.Fatalf("request to %s: %s\n got %x\nwant %x", to, got.verdict, got.out, want)
						}
					}
					reply := func(from netip.AddrPort) *segment {
						s := k.from(int(from.Port()), "SYN", "ACK").source(from.Addr()).to(netip.AddrPortFrom(k.client(), uint16(3000+i)))
						return s
					}
					got := r.send(reply(server).via(backendMAC(1), portMAC).bytes())
					want := reply(to).via(portMAC, clientMAC).ttl(63).bytes()
					if got.verdict != "REPLY" || !bytes.Equal(got.out, want) {
						t.Fatalf("reply from %s: %s\n got %x\nwant %x", to, got.verdict, got.out, want)
					}
				}
			})
		}
	}
}

// From one port a client may not have two connections that the server could not tell apart.
func TestNATRefusesTwoAddressesThatAreOneToTheServer(t *testing.T) {
	r := newRig(t)
	k := kind{proto: lb.TCP}
	s := k.service(1, k.match("198.18.3.1", 32, 80, 80), k.match("198.18.3.2", 32, 80, 80))
	s.Forward = lb.NAT
	s.Backends[0].Addr = netip.AddrPortFrom(s.Backends[0].Addr.Addr(), natPort)
	r.apply(snapshotOf(s))
	first, second := netip.MustParseAddrPort("198.18.3.1:80"), netip.MustParseAddrPort("198.18.3.2:80")
	if got := r.send(k.from(1, "SYN").to(first).bytes()); got.verdict != "NEW_FLOW" {
		t.Fatalf("first connection: %s", got.verdict)
	}
	if got := r.send(k.from(1, "SYN").to(second).bytes()); got.verdict != "NAT_CLASH" {
		t.Errorf("the second, from the same port: %s, want NAT_CLASH", got.verdict)
	}
	if got := r.send(k.from(2, "SYN").to(second).bytes()); got.verdict != "NEW_FLOW" {
		t.Errorf("from another port: %s, want NEW_FLOW", got.verdict)
	}
}

// The program finds what the naive model finds, over thousands of random rules
// and packets, each set applied in the place of the one before.
func TestLookupIsThatOfTheModel(t *testing.T) {
	r := newRig(t)
	packets, found := 0, 0
	for seed := range uint64(40) {
		c := chance{rand.New(rand.NewPCG(seed, 2))}
		rules := append(c.rules(c.IntN(25), false), c.rules(c.IntN(25), true)...)
		r.apply(snapshotOf(servicesOf(rules)...))
		var in [][]byte
		var want []int
		for range 250 {
			k := kind{six: c.IntN(2) == 1, proto: c.proto()}
			to := c.destination(k.six)
			p := k.from(5000, "RST") // remembers nothing
			if k.proto == lb.UDP {
				p = k.from(1 + c.IntN(65000)).source(k.of(netip.AddrFrom4([4]byte{198, 18, byte(seed + 1), byte(len(in))})))
			}
			in = append(in, p.to(to).bytes())
			service, ok := expected(rules, to, k.proto)
			number := 0
			if ok {
				number = int(service[0]-'a') + 1
				found++
			}
			want = append(want, number)
		}
		packets += len(in)
		for i, got := range r.burst(slices.Clone(in)) {
			if got != want[i] {
				t.Fatalf("seed %d, packet %d: backend %d, want %d\n%x\nrules %v", seed, i, got, want[i], in[i], rules)
			}
		}
	}
	if found < packets/4 {
		t.Errorf("only %d of %d packets were for a service", found, packets)
	}
}

// servicesOf makes services of rules: each of its family, its backend's number that of its letter.
func servicesOf(rules []rule) (out []lb.Service) {
	for _, six := range []bool{false, true} {
		for letter := range 20 {
			var all []lb.Match
			for _, r := range rules {
				if int(r.service[0]-'a') == letter && r.Prefix.Addr().Is6() == six {
					all = append(all, r.Match)
				}
			}
			if len(all) > 0 {
				s := kind{six: six}.service(letter+1, all...)
				s.Name = fmt.Sprintf("%s-%t", s.Name, six)
				out = append(out, s)
			}
		}
	}
	return out
}
