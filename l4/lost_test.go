package l4

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

// What becomes of a connection whose backend is no more, by the service's word.
func TestFlowsWithoutABackend(t *testing.T) {
	for _, c := range []struct {
		lost  lb.Lost
		fates []string // of an ACK, another, and a SYN of another connection
	}{
		{lb.LostMoves, []string{"MOVED_FLOW", "KNOWN_FLOW", "NEW_FLOW"}},
		{lb.LostDrops, []string{"LOST_FLOW", "LOST_FLOW", "NEW_FLOW"}},
		{lb.LostExpires, []string{"ADOPTED", "KNOWN_FLOW", "NEW_FLOW"}},
		{lb.LostResets, []string{"RESET_BACKEND", "RESET_CLIENT", "NEW_FLOW"}},
	} {
		for name, change := range map[string]func([]lb.Backend) []lb.Backend{
			"disabled": func(b []lb.Backend) []lb.Backend { return []lb.Backend{with(b[0], disabled), b[1]} },
			"removed":  func(b []lb.Backend) []lb.Backend { return b[1:] },
		} {
			t.Run(string(c.lost)+" "+name, func(t *testing.T) {
				r := newRig(t)
				s := snapshot(lb.RoundRobin, backends(2)...)
				s.Services[0].L4.Lost = c.lost
				r.apply(s)
				r.burst([][]byte{syn(1), ack(1)}) // goes to backend 1
				s.Revision++
				s.Services[0].Backends = change(backends(2))
				r.apply(s)
				for i, packet := range [][]byte{ack(1), ack(1), syn(2)} {
					if got := r.send(packet); got.verdict != c.fates[i] {
						t.Errorf("packet %d: %s, want %s", i, got.verdict, c.fates[i])
					}
				}
				ok(t, r.recount())
			})
		}
	}
	t.Run("dropped until idle", func(t *testing.T) {
		r := newRig(t)
		s := snapshot(lb.RoundRobin, backends(2)...)
		s.Services[0].L4.Lost = lb.LostDrops
		r.apply(s)
		r.burst([][]byte{syn(1), ack(1)})
		s.Revision++
		s.Services[0].Backends = backends(2)[1:]
		r.apply(s)
		for range 2 {
			r.age(DefaultTimeouts.TCP / 3)
			r.sweep()
			if got := r.send(ack(1)); got.verdict != "LOST_FLOW" {
				t.Errorf("before it is long idle: %s, want LOST_FLOW", got.verdict)
			}
		}
		r.age(DefaultTimeouts.TCP / 2)
		r.sweep()
		if got := r.send(ack(1)); got.verdict != "ADOPTED" {
			t.Errorf("long idle save for dropped packets: %s, want ADOPTED", got.verdict)
		}
	})
}

// The resets that cut a connection, byte for byte and by an independent decoder.
func TestLostFlowIsResetAtBothEnds(t *testing.T) {
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		for _, forward := range []lb.Forward{lb.DirectRouting, lb.NAT} {
			t.Run(k.String()+" "+string(forward), func(t *testing.T) { resetBothEnds(t, k, forward) })
		}
	}
}

func resetBothEnds(t *testing.T, k kind, forward lb.Forward) {
	r := newRig(t)
	s := k.snapshot(lb.RoundRobin, backend(1))
	if forward == lb.NAT {
		s = k.nat(backend(1))
	}
	s.Services[0].L4.Lost = lb.LostResets
	r.apply(s)
	r.burst([][]byte{k.from(1, "SYN").bytes(), k.from(1, "ACK").bytes()})
	s.Revision++
	s.Services[0].Backends = []lb.Backend{with(s.Services[0].Backends[0], disabled)}
	r.apply(s)
	data := func() *segment {
		return k.from(1, "ACK", "PSH").set(func(s *segment) {
			s.tcp.Seq, s.tcp.Ack, s.payload = 0xfffffffe, 0x12345678, []byte("hello")
			s.tcp.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop}}
		})
	}
	toBackend := data().set(func(s *segment) { s.tcp.PSH, s.tcp.RST = false, true })
	if forward == lb.NAT {
		toBackend.translated(1)
	}
	want := toBackend.via(portMAC, backendMAC(1)).ttl(63).bytes()
	if got := r.send(data().bytes()); got.action != xdpTx || got.verdict != "RESET_BACKEND" || !bytes.Equal(got.out, want) {
		t.Errorf("to the backend: action %d, %s\n got %x\nwant %x", got.action, got.verdict, got.out, want)
	}
	toClient := k.from(1, "RST", "ACK").source(k.vip().Addr()).target(k.client()).via(portMAC, clientMAC).set(func(s *segment) {
		s.tcp.SrcPort, s.tcp.DstPort = layers.TCPPort(vip.Port()), 1
		s.tcp.Seq, s.tcp.Ack, s.tcp.Window = 0x12345678, 3, 0
	})
	length := at6Transport + 20
	if !k.six {
		length -= 20
	}
	want = toClient.bytes()[:length] // without Ethernet padding
	for range 2 {
		got := r.send(data().bytes())
		if got.action != xdpTx || got.verdict != "RESET_CLIENT" || !bytes.Equal(got.out[:len(want)], want) {
			t.Errorf("to the client: action %d, %s\n got %x\nwant %x", got.action, got.verdict, got.out, want)
		}
		checkSums(t, got.out[:len(want)])
	}
	if got := r.send(k.from(2, "SYN").bytes()); got.verdict != "NO_BACKEND" {
		t.Errorf("a new connection: %s, want NO_BACKEND", got.verdict)
	}
	if got := r.send(k.from(1, "RST").bytes()); got.verdict != "LOST_FLOW" {
		t.Errorf("a RST of the client in the end: %s, want LOST_FLOW", got.verdict)
	}
	if f := r.flows()[1]; f.state() != xdpFlowStateCLOSED {
		t.Errorf("the flow is in state %d, want it closed", f.state())
	}
	ok(t, r.recount())
}

// Real connections: both ends learn by a RST that one is cut.
func TestDisabledBackendIsCutByResets(t *testing.T) {
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		for _, forward := range []lb.Forward{lb.DirectRouting, lb.NAT} {
			t.Run(k.String()+" "+string(forward), func(t *testing.T) { cutByResets(t, k, forward) })
		}
	}
}

func cutByResets(t *testing.T, k kind, forward lb.Forward) {
	w := newWires(t, 1)
	s, at := k.snapshot(lb.RoundRobin, backend(1)), k.vip()
	if forward == lb.NAT {
		w.replyOverBalancer(k)
		s, at = k.nat(backend(1)), netip.AddrPortFrom(k.of(backendAddr(1)), natPort)
	}
	s.Services[0].L4.Lost = lb.LostResets
	ok(t, w.Apply(t.Context(), s))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	listener, err := w.servers[0].Listen(ctx, "tcp", at.String())
	ok(t, err)
	defer listener.Close()
	client, err := w.client.DialContext(ctx, "tcp", k.vip().String())
	ok(t, err)
	defer client.Close()
	server, err := listener.Accept()
	ok(t, err)
	defer server.Close()
	deadline, _ := ctx.Deadline()
	ok(t, errors.Join(client.SetDeadline(deadline), server.SetDeadline(deadline)))
	word := make([]byte, 5)
	_, err = client.Write([]byte("hello"))
	ok(t, err)
	_, err = server.Read(word)
	ok(t, err)

	s.Revision++
	s.Services[0].Backends = []lb.Backend{with(s.Services[0].Backends[0], disabled)}
	ok(t, w.Apply(t.Context(), s))
	_, err = client.Write([]byte("hello"))
	ok(t, err)
	for name, end := range map[string]interface{ Read([]byte) (int, error) }{"server": server, "client": client} {
		if _, err := end.Read(word); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the %s reads %v, want connection reset", name, err)
		}
	}
}
