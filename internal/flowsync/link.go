package flowsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// Table is the flows of one balancer.
type Table interface {
	// News visits the flows that have changed since the last call; lost is how
	// many changes could not be kept, ever.
	News(visit func(lb.ToldFlow)) (lost uint64, err error)
	// Walk visits the flows that have had a packet within that time.
	Walk(within time.Duration, visit func(lb.ToldFlow)) error
	// Adopt makes flows of the other balancer this one's: how many it has, how many
	// are of no backend of its, for how many there is no room.
	Adopt(flows []lb.ToldFlow) (taken, unknown, refused int, err error)
}

// Options are what one end of a Link needs.
type Options struct {
	NS     *netns.Handle // of the balancer; must stay open as long as the Link
	Local  netip.Addr    // its own address
	Peer   netip.Addr    // the other balancer's
	SyncID byte          // as in ipvsadm's --syncid: others' messages are not for us
	Policy Policy
	Table  Table
	Log    *slog.Logger
}

// Link tells another balancer of this one's flows and adopts that one's. Both
// directions are always on: who is active need not be known, because only who
// gets packets has news.
type Link struct {
	options Options
	conn    *net.UDPConn
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	resync  chan struct{} // capacity 1: walk all

	sending sync.Mutex // guards what follows
	out     *message
	pending map[flowKey]lb.ToldFlow
	lost    uint64

	stats counters
}

// flowKey is what tells a flow from others.
type flowKey struct {
	proto       lb.Protocol
	client, vip netip.AddrPort
}

// Start opens a Link and tells the other balancer of all flows at once.
func Start(o Options) (*Link, error) {
	o.Policy = o.Policy.filled()
	l := &Link{options: o, resync: make(chan struct{}, 1), pending: map[flowKey]lb.ToldFlow{}}
	err := o.NS.Do(func() (err error) {
		l.conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(o.Local, Port)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("synchronise flows: %w", err)
	}
	_ = l.conn.SetReadBuffer(4 << 20) // less only means that more is lost in bursts
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.Resync()
	l.ended.Go(l.receive)
	l.ended.Go(func() { l.sendNews(ctx) })
	l.ended.Go(func() { l.sendAgain(ctx) })
	return l, nil
}

// Close ends both directions. What both tables have stays.
func (l *Link) Close() error {
	l.cancel()
	err := l.conn.Close()
	l.ended.Wait()
	return err
}

// Resync makes the Link tell of all flows, as to a balancer that has just come.
func (l *Link) Resync() {
	select {
	case l.resync <- struct{}{}:
	default: // it is about to
	}
}

// counters are lb.SyncStats that several goroutines add to.
type counters struct {
	messagesSent, bytesSent, flowsSent             atomic.Uint64
	messagesReceived, bytesReceived, flowsReceived atomic.Uint64
	taken, unknown, refused, malformed             atomic.Uint64
	lost, failed                                   atomic.Uint64
}

// Stats returns what was sent and received since Start.
func (l *Link) Stats() lb.SyncStats {
	s := &l.stats
	return lb.SyncStats{
		MessagesSent: s.messagesSent.Load(), BytesSent: s.bytesSent.Load(), FlowsSent: s.flowsSent.Load(),
		MessagesReceived: s.messagesReceived.Load(), BytesReceived: s.bytesReceived.Load(), FlowsReceived: s.flowsReceived.Load(),
		Adopted: s.taken.Load(), Unknown: s.unknown.Load(), Refused: s.refused.Load(), Malformed: s.malformed.Load(),
		Lost: s.lost.Load(), Failed: s.failed.Load(),
	}
}

// receive adopts what comes until the socket is closed.
func (l *Link) receive() {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := l.conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || from.Addr().Unmap() != l.options.Peer {
			continue
		}
		l.stats.bytesReceived.Add(uint64(n))
		id, flows, err := Parse(buffer[:n])
		if err != nil {
			l.stats.malformed.Add(1)
			l.options.Log.Warn("refuse sync message", "from", from, "error", err)
		} else if id == l.options.SyncID {
			l.adopt(flows)
		}
		l.stats.messagesReceived.Add(1) // last: who waits for it finds the flows adopted
	}
}

func (l *Link) adopt(flows []lb.ToldFlow) {
	taken, unknown, refused, err := l.options.Table.Adopt(flows)
	if err != nil {
		l.options.Log.Warn("adopt flows", "error", err)
	}
	l.stats.flowsReceived.Add(uint64(len(flows)))
	l.stats.taken.Add(uint64(taken))
	l.stats.unknown.Add(uint64(unknown))
	l.stats.refused.Add(uint64(refused))
}
