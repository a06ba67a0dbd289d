package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/internal/netns"
)

const failoverLoad = `
name: breaks
balancers: 2
servers: %d
failover: {sync: %s, batch: 100ms}
checks:
  default: {path: /healthz, interval: 500ms}
services:
  mh: {plane: l4}
  rr: {plane: l4, policy: rr}
  nat: {plane: l4, policy: rr, forward: nat}
`

// trial is one failover under load.
type trial struct {
	sync  string // the scenario's word
	added bool   // a server comes after the connections have begun
	crash bool   // the active balancer is cut off, or asked to hand over
}

func (tr trial) String() string {
	how := map[bool]string{true: "crash", false: "handed over"}[tr.crash]
	return fmt.Sprintf("%-12s %-11s %s", how, tr.sync, map[bool]string{true: "one added", false: "the same"}[tr.added])
}

// outcome is how many of a service's connections broke, seen from the client.
type outcome struct {
	long, brokenLong int // were exchanging requests all along
	late, brokenLate int // began within a batch before the failover
}

var failoverServices = []string{"mh", "rr", "nat"}

// run brings the lab up, holds connections to each service, and counts those
// that do not outlive a failover. All keep exchanging requests before, during and after.
func (tr trial) run(t testing.TB, w *workshop, each int) map[string]outcome {
	t.Helper()
	file := w.scenario("breaks.yaml", fmt.Sprintf(failoverLoad, 3, tr.sync))
	w.lbctl("up", "-q", file)
	defer w.lbctl("down", "breaks")
	l := w.open("breaks")
	node, err := l.Node("c1")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	st, err := l.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	long, late := map[string]*talkers{}, map[string]*talkers{}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, name := range failoverServices {
		svc, _ := st.Service(name)
		long[name] = &talkers{node: node, addr: svc.VIP.Addr.String()}
		late[name] = &talkers{node: node, addr: svc.VIP.Addr.String()}
		long[name].add(ctx, t, each)
	}
	for _, name := range failoverServices {
		long[name].await(t, 3) // requests of each connection: they are under way
	}
	if tr.added {
		w.scenario("breaks.yaml", fmt.Sprintf(failoverLoad, 4, tr.sync))
		w.lbctl("up", "-q", file)
	}
	time.Sleep(500 * time.Millisecond) // batches
	for _, name := range failoverServices {
		late[name].add(ctx, t, each/10)
	}
	if tr.crash {
		w.lbctl("failover", "--crash")
	} else {
		w.lbctl("failover")
	}
	out := map[string]outcome{}
	for _, name := range failoverServices {
		long[name].await(t, 5)
		late[name].await(t, 5)
	}
	stop()
	for _, name := range failoverServices {
		long[name].wg.Wait()
		late[name].wg.Wait()
		out[name] = outcome{each, int(long[name].broken.Load()), each / 10, int(late[name].broken.Load())}
	}
	return out
}

// talkers are connections to one service that ask one request after the other.
type talkers struct {
	node   *netns.Handle
	addr   string
	wg     sync.WaitGroup
	broken atomic.Int64
	all    []*talker
}

type talker struct {
	answers atomic.Int64
	broken  atomic.Bool
}

// pause is between two requests of a connection.
const pause = 50 * time.Millisecond

// patience is how long an answer may take: several retransmissions.
const patience = 20 * time.Second

// add opens n connections, each of which has had an answer when it returns.
func (ts *talkers) add(ctx context.Context, t testing.TB, n int) {
	t.Helper()
	for range n {
		conn, err := ts.node.DialContext(ctx, "tcp", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := ts.ask(conn); err != nil {
			t.Fatal(err)
		}
		c := &talker{}
		ts.all = append(ts.all, c)
		ts.wg.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			for ctx.Err() == nil {
				if err := ts.ask(conn); err != nil && !errors.Is(err, net.ErrClosed) {
					c.broken.Store(true)
					ts.broken.Add(1)
					return
				}
				c.answers.Add(1)
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
}

func (ts *talkers) ask(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", ts.addr); err != nil {
		return err
	}
	_, err := readAnswer(conn)
	return err
}

// await returns once each connection has had that many further answers, or is broken.
func (ts *talkers) await(t testing.TB, answers int64) {
	t.Helper()
	var due []int64
	for _, c := range ts.all {
		due = append(due, c.answers.Load()+answers)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		waiting := 0
		for i, c := range ts.all {
			if !c.broken.Load() && c.answers.Load() < due[i] {
				waiting++
			}
		}
		if waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections to %s neither break nor get answers", waiting, ts.addr)
		}
	}
}

// A policy that every balancer computes alike keeps connections without sync,
// as long as the servers are the same; any policy does with it.
func TestConnectionsOutliveAFailoverAsFarAsTheirPolicyAndSyncAllow(t *testing.T) {
	const n = 60
	for _, row := range []struct {
		trial
		least, most map[string]int // of n that break
	}{
		{
			trial{sync: "off", crash: true},
			map[string]int{"rr": n / 3, "nat": n / 3},
			map[string]int{"mh": 0, "rr": n, "nat": n},
		},
		{
			trial{sync: "off", crash: true, added: true},
			map[string]int{"mh": 1, "rr": n / 3, "nat": n / 3}, // a quarter of the keys is another's by now
			map[string]int{"mh": n * 6 / 10, "rr": n, "nat": n},
		},
		{trial{sync: "established", crash: true}, nil, map[string]int{}},
		{trial{sync: "established", crash: true, added: true}, nil, map[string]int{}},
		{trial{sync: "opening", added: true}, nil, map[string]int{}},
	} {
		t.Run(strings.Join(strings.Fields(row.trial.String()), " "), func(t *testing.T) {
			for name, got := range row.run(t, newWorkshop(t), n) {
				t.Logf("%-4s %d of %d broke, of those begun in the last batch %d of %d", name, got.brokenLong, got.long, got.brokenLate, got.late)
				if got.brokenLong < row.least[name] || got.brokenLong > row.most[name] {
					t.Errorf("%s: %d of %d connections broke, want %d to %d", name, got.brokenLong, got.long, row.least[name], row.most[name])
				}
				if !row.crash && got.brokenLate != 0 {
					t.Errorf("%s: %d late connections broke though the active balancer handed over", name, got.brokenLate)
				}
			}
		})
	}
}

// BenchmarkFailover prints a table; make bench-failover.
func BenchmarkFailover(b *testing.B) {
	const n = 300
	for range b.N {
		fmt.Printf("\nConnections broken by a failover, seen from the client; %d to each service that exchange requests all along,\n"+
			"%d that began within a batch (100 ms) before. rr and nat schedule by rr, 3 servers, 4 with one added meanwhile.\n\n", n, n/10)
		fmt.Printf("%-12s %-11s %-10s", "failover", "sync", "servers")
		for _, name := range failoverServices {
			fmt.Printf(" %8s %8s", name, name+" late")
		}
		fmt.Println()
		for _, crash := range []bool{true, false} {
			for _, added := range []bool{false, true} {
				for _, sync := range []string{"off", "established", "opening"} {
					tr := trial{sync: sync, added: added, crash: crash}
					got := tr.run(b, newWorkshop(b), n)
					fmt.Printf("%-35s", tr)
					for _, name := range failoverServices {
						o := got[name]
						fmt.Printf(" %7.1f%% %7.1f%%", 100*float64(o.brokenLong)/float64(o.long), 100*float64(o.brokenLate)/float64(o.late))
					}
					fmt.Println()
				}
			}
		}
	}
}
