package flowsync

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// table is flows in memory.
type table struct {
	mu    sync.Mutex
	flows map[flowKey]lb.ToldFlow
	news  []lb.ToldFlow
	lost  uint64
}

func newTable() *table { return &table{flows: map[flowKey]lb.ToldFlow{}} }

func keyOf(f lb.ToldFlow) flowKey { return flowKey{f.Proto, f.Client, f.VIP} }

// change is what a packet does.
func (t *table) change(f lb.ToldFlow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flows[keyOf(f)] = f
	t.news = append(t.news, f)
}

// miss is a change that the ring had no room for.
func (t *table) miss(f lb.ToldFlow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flows[keyOf(f)] = f
	t.lost++
}

func (t *table) News(visit func(lb.ToldFlow)) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.news {
		visit(f)
	}
	t.news = nil
	return t.lost, nil
}

func (t *table) Walk(_ time.Duration, visit func(lb.ToldFlow)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.flows {
		visit(f)
	}
	return nil
}

func (t *table) Adopt(flows []lb.ToldFlow) (taken, unknown, refused int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range flows {
		t.flows[keyOf(f)] = f
	}
	return len(flows), 0, 0, nil
}

func (t *table) has(f lb.ToldFlow) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.flows[keyOf(f)] == f
}

func (t *table) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.flows)
}

var ends = [2]netip.Addr{netip.MustParseAddr("127.0.1.1"), netip.MustParseAddr("127.0.1.2")}

// twoLinks are both ends, on the loopback of a namespace without a name.
func twoLinks(t *testing.T, p Policy) (links [2]*Link, tables [2]*table, ns *netns.Handle) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("sockets are made in a network namespace: run as root")
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	nl, err := ns.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	lo, err := nl.LinkByName("lo")
	if err == nil {
		err = nl.LinkSetUp(lo)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range links {
		tables[i] = newTable()
		links[i], err = Start(Options{
			NS: ns, Local: ends[i], Peer: ends[1-i], SyncID: 5, Policy: p, Table: tables[i], Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = links[i].Close() })
	}
	return links, tables, ns
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20s: %s", what)
		}
	}
}

func numbered(i int) lb.ToldFlow {
	return flow(func(f *lb.ToldFlow) {
		f.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 16), byte(i >> 8)}), uint16(i)|1024)
	})
}

func TestEachEndLearnsWhatTheOtherHas(t *testing.T) {
	links, tables, _ := twoLinks(t, Policy{Batch: 5 * time.Millisecond})
	for i := range 2 {
		tables[i].change(numbered(i))
		eventually(t, "the other end knows", func() bool { return tables[1-i].has(numbered(i)) })
	}
	eventually(t, "both count", func() bool { return links[0].Stats().FlowsReceived > 0 && links[1].Stats().Adopted > 0 })
}

// Of a flow that changes often the newest word is sent, once.
func TestABatchTellsOfAFlowOnce(t *testing.T) {
	links, tables, _ := twoLinks(t, Policy{Batch: time.Hour, Refresh: time.Hour})
	last := flow(func(f *lb.ToldFlow) { f.State, f.Left = lb.FlowFinWait, 120*time.Second })
	tables[0].change(flow(nil))
	tables[0].change(last)
	sent := links[0].Flush()
	eventually(t, "the other end has heard all", func() bool { return links[1].Stats().MessagesReceived >= sent })
	// Start's own walk may have told of it before.
	if got := links[0].Stats(); !tables[1].has(last) || got.FlowsSent > 2 {
		t.Errorf("%+v", got)
	}
}

func TestWhatWasLostIsToldAgain(t *testing.T) {
	links, tables, _ := twoLinks(t, Policy{Batch: 5 * time.Millisecond, Refresh: time.Hour})
	for i := range 100 {
		tables[0].miss(numbered(i << 8))
	}
	eventually(t, "the other end has all", func() bool { return tables[1].count() == 100 })
	eventually(t, "all that were lost are counted", func() bool { return links[0].Stats().Lost == 100 })
}

func TestFlowsThatGoOnAreToldAgain(t *testing.T) {
	_, tables, _ := twoLinks(t, Policy{Batch: time.Hour, Refresh: 10 * time.Millisecond})
	tables[0].mu.Lock()
	tables[0].flows[keyOf(flow(nil))] = flow(nil) // told once, and lost on the way
	tables[0].mu.Unlock()
	eventually(t, "the other end has it", func() bool { return tables[1].has(flow(nil)) })
}

func TestAWalkOfManyFlowsIsPacedSoThatAllArrive(t *testing.T) {
	const n = 100000
	links, tables, _ := twoLinks(t, Policy{Batch: time.Hour, Refresh: time.Hour})
	for i := range n {
		f := numbered(0)
		f.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1024)
		tables[0].mu.Lock()
		tables[0].flows[keyOf(f)] = f
		tables[0].mu.Unlock()
	}
	links[0].Resync()
	eventually(t, "the other end has all", func() bool { return tables[1].count() == n })
}

func TestMessagesOfStrangersAreNotBelieved(t *testing.T) {
	links, tables, ns := twoLinks(t, Policy{Batch: time.Hour, Refresh: time.Hour})
	send := func(from netip.Addr, b []byte) {
		t.Helper()
		err := ns.Do(func() error {
			conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(ends[1], Port)))
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = conn.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	good, other := newMessage(5), newMessage(6)
	_, _ = good.add(flow(nil))
	_, _ = other.add(flow(nil))
	send(netip.MustParseAddr("127.0.1.9"), good.finish())
	send(ends[0], other.finish())
	send(ends[0], []byte(fmt.Sprintf("%40d", 7)))
	eventually(t, "the last one is refused", func() bool { return links[1].Stats().Malformed == 1 })
	if n := tables[1].count(); n != 0 {
		t.Errorf("%d flows were adopted", n)
	}
}
