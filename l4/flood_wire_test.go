package l4

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// A flood of SYNs from addresses that nobody has: 10 every millisecond, or as many
// as the machine sends. Packets may be lost on the way for want of CPU time, so
// clients have the patience for a SYN to be sent three times.
const (
	floodBatch = 10
	floodTable = 1 << 12 // entries of the flow table
	dialers    = 4       // at a time: their own flows must leave room in the table
)

// floodSeconds is how long it lasts: little in a test run, longer by `make bench-flood`.
func floodSeconds(t *testing.T) time.Duration {
	n, err := strconv.Atoi(os.Getenv("LBCTL_FLOOD_SECONDS"))
	if err != nil && os.Getenv("LBCTL_FLOOD_SECONDS") != "" {
		t.Fatal(err)
	}
	return time.Duration(max(n, 4)) * time.Second
}

// flood sends until the context is done, and returns how many frames it sent.
func flood(ctx context.Context, ns *netns.Handle) (sent uint64, err error) {
	err = ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		var frames [][]byte
		for i := range 1 << 15 {
			frames = append(frames, from(1024+i, "SYN").source(netip.AddrFrom4([4]byte{10, byte(i >> 11), byte(i >> 3), 1})).via(backendMAC(99), portMAC).bytes())
		}
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			for range floodBatch {
				frame := frames[sent%uint64(len(frames))]
				err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: eth0.Index})
				if err != nil && err != unix.ENOBUFS {
					return err
				}
				sent++
			}
		}
	})
	return sent, err
}

// clients is how new connections fared.
type clients struct {
	opened, failed int
	took           []time.Duration
}

// connect opens connections until the context is done, each dialer one after the
// other. One has failed if the server's first byte is not there in time.
func (w *wires) connect(ctx context.Context, addr string) (all clients) {
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range dialers {
		workers.Go(func() {
			for ctx.Err() == nil {
				begin := time.Now()
				err := w.connectOnce(addr)
				mu.Lock()
				if all.took = append(all.took, time.Since(begin)); err != nil {
					all.failed++
				} else {
					all.opened++
				}
				mu.Unlock()
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	workers.Wait()
	slices.Sort(all.took)
	return all
}

func (w *wires) connectOnce(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := w.client.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

func (c clients) quantile(q float64) time.Duration { return c.took[int(q*float64(len(c.took)-1))] }

// Under a flood with a flow table that it fills, real clients get no further without a
// defence. With one all of them do, and flows begun before go on in either case.
func TestSYNFlood(t *testing.T) {
	for _, row := range []struct {
		name   string
		mode   lb.SYNCookies
		served bool
	}{
		{"no defence", lb.SYNCookiesNever, false},
		{"syn_cookies auto", lb.SYNCookiesAuto, true},
		{"syn_cookies always", lb.SYNCookiesAlways, true},
	} {
		t.Run(row.name, func(t *testing.T) { underFlood(t, row.mode, row.served) })
	}
}

func underFlood(t *testing.T, mode lb.SYNCookies, served bool) {
	k := streams[0]
	w := newWires(t, 2)
	w.startNATServers(k)
	for _, ns := range w.servers { // SYN-ACKs to where nobody is go over the balancer, as all do
		w.inside(ns, func() {
			ok(t, netlink.RouteAdd(&netlink.Route{Dst: &net.IPNet{IP: net.IP{10, 0, 0, 0}, Mask: net.CIDRMask(8, 32)}, Gw: balancer.AsSlice()}))
		})
	}
	attacker := w.node(backendAddr(99), backendMAC(99))
	options := w.options
	ok(t, w.Close())
	ok(t, os.RemoveAll(options.PinDir))
	options.MaxFlows = floodTable
	w.Plane = nil
	w.reopen(options)
	s := k.nat(backends(2)...)
	s.Services[0].L4.SYNCookies = mode
	ok(t, w.Apply(t.Context(), s))
	c := w.startClient(k)
	if r := w.order(c, order{Open: 100}); len(r.Broken) != 0 {
		t.Fatalf("before the flood: %+v", r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), floodSeconds(t))
	defer cancel()
	var sent atomic.Uint64
	ended := make(chan error, 1)
	go func() {
		n, err := flood(ctx, attacker)
		sent.Store(n)
		ended <- err
	}()
	time.Sleep(time.Second)
	for met := w.met(); met["NO_ROOM"]+met["COOKIE_SENT"] == 0; met = w.met() { // the table is full, or defended
		if ctx.Err() != nil {
			t.Fatalf("the test means little: the flood fills no table: %v", met)
		}
		time.Sleep(20 * time.Millisecond)
	}
	news := w.connect(ctx, k.vip().String())
	echoed := w.order(c, order{Echo: 5000})
	ok(t, <-ended)
	t.Logf("%d SYNs/s for %s; new connections: %d opened, %d failed, %s in the middle, %s at 99 %%; established: %v live, %v broken; %v",
		sent.Load()/uint64(floodSeconds(t)/time.Second), floodSeconds(t), news.opened, news.failed,
		news.quantile(0.5).Round(10*time.Microsecond), news.quantile(0.99).Round(10*time.Microsecond), sum(echoed.Live), sum(echoed.Broken), w.met())
	if len(echoed.Broken) != 0 || sum(echoed.Live) != 100 {
		t.Errorf("established connections: %+v, want 100 live", echoed)
	}
	if served && news.failed*100 > news.opened { // where the balancer's veth drops, nobody sends the SYN to the server again
		t.Errorf("%d of %d new connections failed", news.failed, news.failed+news.opened)
	}
	if !served && news.opened > news.failed {
		t.Errorf("the test means little: all %d new connections were served without a defence", news.opened)
	}
}
