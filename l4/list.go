package l4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// stateWords are what ipvsadm -Lnc calls the states.
var stateWords = [xdpFlowStateFLOW_STATES]string{
	xdpFlowStateOPENING:     "SYN_RECV",
	xdpFlowStateESTABLISHED: "ESTABLISHED",
	xdpFlowStateFIN_WAIT:    "FIN_WAIT",
	xdpFlowStateCLOSE_WAIT:  "CLOSE_WAIT",
	xdpFlowStateTIME_WAIT:   "TIME_WAIT",
	xdpFlowStateCLOSED:      "CLOSE",
	xdpFlowStateDATAGRAMS:   "UDP",
}

// Flows yields what the plane remembers, in no order, without the memory of it
// all. What comes or goes meanwhile may be missed or be there twice. An error is
// the last that is yielded.
func (p *Plane) Flows() iter.Seq2[lb.Flow, error] {
	return func(yield func(lb.Flow, error) bool) {
		l, err := p.newLister()
		if err != nil {
			yield(lb.Flow{}, err)
			return
		}
		defer l.close()
		if err := l.list(func(f lb.Flow) bool { return yield(f, nil) }); err != nil && !errors.Is(err, errStop) {
			yield(lb.Flow{}, fmt.Errorf("list flows: %w", err))
		}
	}
}

// errStop is that nobody wants more.
var errStop = errors.New("stop")

// lister is what is needed to understand entries, as it was at one moment.
type lister struct {
	flows     *flowTables
	templates *ebpf.Map // its own handle
	owners    map[uint32]owner
	setting   xdpSetting
	now       uint32
	jiffy     time.Duration
}

// owner is a backend, by its slot.
type owner struct {
	id      uint32
	backend netip.AddrPort
	service string
	vip     lb.VIP // one of the service's, if it has any
}

func (p *Plane) newLister() (*lister, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hops == nil {
		return nil, fmt.Errorf("list flows: l4 plane: %w", os.ErrClosed)
	}
	l := &lister{owners: map[uint32]owner{}}
	for _, v := range p.state.services {
		asked := p.state.keys.first(v, lb.TCP, lb.UDP)
		for _, m := range v.members {
			at := netip.AddrPortFrom(fromAddress(m.backend.Addr), toPort(m.backend.Port))
			l.owners[m.slot] = owner{uint32(m.id), at, v.name, asked}
		}
	}
	var clock [4]byte
	_, err := p.objects.Now.Run(&ebpf.RunOptions{Context: clock[:], ContextOut: clock[:]})
	l.now = binary.NativeEndian.Uint32(clock[:])
	err = errors.Join(err, p.objects.Settings.Lookup(uint32(0), &l.setting))
	if err == nil {
		l.jiffy, err = jiffy()
	}
	if err == nil {
		l.flows, err = p.objects.flowTables()
	}
	if err == nil {
		l.templates, err = p.objects.Templates.Clone()
	}
	if err != nil {
		l.close()
		return nil, fmt.Errorf("list flows: %w", err)
	}
	return l, nil
}

func (l *lister) close() {
	if l.flows != nil {
		l.flows.close()
	}
	if l.templates != nil {
		l.templates.Close()
	}
}

// list calls visit for each until it returns false, which is errStop.
func (l *lister) list(visit func(lb.Flow) bool) error {
	err := l.flows.each(func(e flowEntry) bool {
		out, known := l.flow(e)
		return !known || visit(out)
	})
	if err != nil {
		return err
	}
	return eachEntry(l.templates, func(k xdpClients, t xdpTemplate) bool {
		as := xdpFlow{Owner: t.Owner}
		o, known := l.owners[as.slot()]
		if !known || o.id != as.id() {
			return true
		}
		backend := o.backend
		if o.vip.Addr.Port() == 0 { // as ip_vs_sched_persist() has it
			backend = netip.AddrPortFrom(backend.Addr(), 0)
		}
		return visit(lb.Flow{
			Service: o.service, Proto: o.vip.Proto, VIP: o.vip.Addr, Backend: backend, State: "NONE", Sticky: true,
			Client: netip.AddrPortFrom(fromAddress(k.Net), 0), Expires: l.left(t.Expires),
		})
	})
}

// flow is false for entries that are no connection of a backend.
func (l *lister) flow(e flowEntry) (lb.Flow, bool) {
	f, t := e.flow, e.tuple
	o, known := l.owners[f.slot()]
	if !known || o.id != f.id() || f.kind() != xdpFlowKindREQUESTS || f.state() >= xdpFlowStateFLOW_STATES {
		return lb.Flow{}, false
	}
	out := lb.Flow{
		Service: o.service, Proto: lb.TCP, Backend: o.backend, State: stateWords[f.state()],
		Client: netip.AddrPortFrom(fromAddress(t.Src), toPort(t.Sport)), VIP: netip.AddrPortFrom(fromAddress(t.Dst), toPort(t.Dport)),
		Expires: l.left(f.LastSeen + l.setting.Timeouts[f.state()]),
	}
	if t.Proto == unix.IPPROTO_UDP {
		out.Proto = lb.UDP
	}
	if o.backend.Port() == 0 {
		out.Backend = netip.AddrPortFrom(o.backend.Addr(), toPort(t.Dport))
	}
	return out, true
}

// left is how long it is until then, on a clock that goes round.
func (l *lister) left(then uint32) time.Duration {
	return time.Duration(max(int32(then-l.now), 0)) * l.jiffy
}

// eachEntry visits a table in batches, until visit returns false, which is errStop.
// Entries that come or go meanwhile may or may not be visited.
func eachEntry[K, V any](table *ebpf.Map, visit func(K, V) bool) error {
	const batch = 4096
	keys, values := make([]K, batch), make([]V, batch)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := table.BatchLookup(&cursor, keys, values, nil)
		for i := range n {
			if !visit(keys[i], values[i]) {
				return errStop
			}
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
