package l4

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// A flow that is to be dropped is, until it is idle long enough: dropped packets do not count.
func TestLostFlowIsDroppedUntilItIsIdle(t *testing.T) {
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
	ok(t, r.recount())
}

// A flow that is reset is closed from its first packet on, and accounted for.
func TestResetFlowIsClosed(t *testing.T) {
	shared := newRig(t)
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		r := shared.again(t)
		s := k.nat(backend(1))
		s.Services[0].L4.Lost = lb.LostResets
		r.apply(s)
		r.burst([][]byte{k.from(1, "SYN").bytes(), k.from(1, "ACK").bytes()})
		s.Revision++
		s.Services[0].Backends = []lb.Backend{with(s.Services[0].Backends[0], disabled)}
		r.apply(s)
		for _, want := range []string{"RESET_BACKEND", "RESET_CLIENT"} {
			if got := r.send(k.from(1, "ACK").bytes()); got.verdict != want || r.flows()[1].state() != xdpFlowStateCLOSED {
				t.Errorf("%s: %s in state %d, want %s in CLOSED", k, got.verdict, r.flows()[1].state(), want)
			}
		}
		if got := r.send(k.from(2, "SYN").bytes()); got.verdict != "NO_BACKEND" {
			t.Errorf("%s: a new connection: %s, want NO_BACKEND", k, got.verdict)
		}
		ok(t, r.recount())
	}
}

// Real connections: both ends learn by a RST that one is cut.
func TestDisabledBackendIsCutByResets(t *testing.T) {
	for _, k := range []kind{{false, lb.TCP}, {true, lb.TCP}} {
		for _, forward := range []lb.Forward{lb.DirectRouting, lb.NAT} {
			t.Run(k.String()+" "+string(forward), func(t *testing.T) { t.Parallel(); cutByResets(t, k, forward) })
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
