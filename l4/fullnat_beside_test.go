package l4

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// besideByFullNAT are two balancers with the same pool, the second of which knows the way to clients.
func besideByFullNAT(t *testing.T, k kind) (active, standby *rig) {
	t.Helper()
	active, standby = pairOf(t, k.toldFullNAT(backends(2)...))
	ok(t, standby.ns.Do(func() error { standby.neighbour(standby.ifindex, k.client(), clientMAC); return nil }))
	ok(t, active.Tell(opened...))
	return active, standby
}

// Under fullnat a flow has at the standby the local end that its backend knows, in
// both directions, and nobody else is given it.
func TestAStandbyHasTheLocalEndsThatItWasTold(t *testing.T) {
	const n = 40
	for _, k := range kinds {
		t.Run(k.String(), func(t *testing.T) {
			active, standby := besideByFullNAT(t, k)
			locals := map[int]netip.AddrPort{}
			var home []int
			for port := 1; port <= n; port++ {
				locals[port] = active.begin(k, port)
				home = append(home, active.burst([][]byte{k.from(port, "ACK").bytes()})...)
				// The backend has answered with more than a SYN, so that no packet tells it of its client any more.
				active.send(k.replyTo(home[port-1], locals[port], "ACK").bytes())
			}
			standby.adopt(Adopted{Taken: n}, active.news()...)
			if got := standby.entries(); got != 2*n {
				t.Errorf("%d entries at the standby, want %d", got, 2*n)
			}
			for port := 1; port <= n; port++ {
				i := home[port-1]
				got := standby.send(k.replyTo(i, locals[port], "ACK").bytes())
				if want := k.replyTo(i, locals[port], "ACK").restored(port).ttl(63).bytes(); got.verdict != "REPLY" || !bytes.Equal(got.out, want) {
					t.Fatalf("a reply to port %d: %s\n got %x\nwant %x", port, got.verdict, got.out, want)
				}
				time.Sleep(time.Millisecond) // another jiffy now and then, at which the port is looked at
				got = standby.send(k.from(port, "ACK").bytes())
				if want := k.from(port, "ACK").replaced(i, locals[port]).ttl(63).bytes(); got.verdict != "KNOWN_FLOW" || !bytes.Equal(got.out, want) {
					t.Fatalf("a request of port %d: %s\n got %x\nwant %x", port, got.verdict, got.out, want)
				}
			}
			taken := map[string]bool{}
			for port, local := range locals {
				taken[fmt.Sprint(home[port-1], local)] = true
			}
			for port := n + 1; port <= 3*n; port++ {
				local := standby.begin(k, port)
				at := standby.burst([][]byte{k.from(port, "ACK").bytes()})[0]
				if key := fmt.Sprint(at, local); taken[key] {
					t.Errorf("port %d is given %s, which another has", port, key)
				}
			}
			ok(t, standby.recount())
		})
	}
}

// Of two flows that two balancers have given the same local end the backend knows the later one.
func TestTheLaterFlowHasTheLocalEnd(t *testing.T) {
	for _, k := range streams {
		active, standby := besideByFullNAT(t, k)
		one := func(r *rig) { r.apply(k.toldFullNAT(backend(1))); r.fewPorts(1, 1) }
		one(active)
		one(standby)
		local := standby.begin(k, 1)
		time.Sleep(20 * time.Millisecond)
		if got := active.begin(k, 2); got != local {
			t.Fatalf("%s and %s are no clash", got, local)
		}
		active.send(k.from(2, "ACK").bytes())
		standby.adopt(Adopted{Taken: 1}, active.news()...)
		time.Sleep(20 * time.Millisecond)
		got := standby.send(k.replyTo(1, local, "ACK").bytes())
		if want := k.replyTo(1, local, "ACK").restored(2).ttl(63).bytes(); got.verdict != "REPLY" || !bytes.Equal(got.out, want) {
			t.Errorf("%s, a reply: %s\n got %x\nwant %x", k, got.verdict, got.out, want)
		}
		if got := standby.send(k.from(1, "ACK").bytes()); got.verdict != "NO_LOCAL_PORT" {
			t.Errorf("%s, the other flow: %s, want NO_LOCAL_PORT", k, got.verdict)
		}
		if got := standby.send(k.from(2, "ACK").bytes()); got.verdict != "KNOWN_FLOW" || k.senderOf(got.out) != local {
			t.Errorf("%s, the later flow: %s from %s, want it from %s", k, got.verdict, k.senderOf(got.out), local)
		}
		ok(t, standby.recount())
		active.leave()
		standby.leave()
	}
}
