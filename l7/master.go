package l7

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"lbctl/internal/lb"
	"lbctl/internal/proxy"
	"lbctl/internal/scoreboard"
	"lbctl/internal/supervise"
)

// errStopping is what Apply says while the proxy finishes its last requests.
var errStopping = errors.New("the proxy is stopping")

// workers are the processes that forward.
type workers interface {
	// configure brings a configuration into force in all of them, and returns when
	// it is. fresh are the sockets that the one before did not need. A worker that
	// cannot is replaced, unless all refuse: then none is, and the error says why.
	configure(c *configuration, fresh []supervise.Socket) error
	// restore is configure with a configuration that was good once, and with all its
	// sockets. Whoever refuses it is replaced.
	restore(c *configuration, sockets []supervise.Socket)
	// report says what they do.
	report() Workers
	// reopen goes on with the log files that have the paths now.
	reopen(ctx context.Context) error
}

// master has the desired state of the plane, the listening sockets and the
// accounts. It forwards nothing itself.
type master struct {
	log       *slog.Logger
	board     *scoreboard.Board
	ledger    *scoreboard.Ledger
	listeners *supervise.Listeners
	workers   workers
	logFolder string             // of access logs that have no other
	errorLog  string             // path of what this process and its workers say; empty: no file
	checks    singleflight.Group // of access logs, by path

	mu         sync.Mutex // serializes apply and stop
	current    atomic.Pointer[configuration]
	generation atomic.Uint64 // of the configuration that was begun last
	stopping   bool
	handing    bool // to another master, which has asked what is in force
}

func newMaster(log *slog.Logger, board *scoreboard.Board) *master {
	m := &master{log: log, board: board, ledger: scoreboard.NewLedger(board), listeners: supervise.NewListeners()}
	m.current.Store(&configuration{Generation: 1})
	m.generation.Store(1)
	return m
}

// apply brings a snapshot into force, whole or not at all: whatever can fail is
// done before the first request sees any of it.
func (m *master) apply(s lb.Snapshot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping || m.handing {
		return errStopping
	}
	if _, err := newTable(s, nil, proxy.NoAccounts); err != nil {
		return err
	}
	old := m.current.Load()
	if err := m.checkLogs(s, old.Snapshot); err != nil {
		return err
	}
	fresh, err := m.open(s, old)
	if err != nil {
		return err
	}
	next := &configuration{Generation: m.generation.Add(1), Snapshot: s, LogFolder: m.logFolder}
	if next.Cells, err = m.ledger.Retain(next.Generation, keys(s)); err != nil {
		m.listeners.Retain(addresses(old.Snapshot))
		return err
	}
	m.tellUp(old.Snapshot, next)
	if err := m.workers.configure(next, fresh); err != nil {
		return errors.Join(err, m.rollBack(old))
	}
	m.listeners.Retain(addresses(s))
	m.current.Store(next)
	m.log.Info("snapshot applied", "revision", s.Revision, "services", len(addresses(s)))
	return nil
}

// rollBack has the workers go on with an old configuration after they have refused the
// next one. Some may have got half-way with that, so they get everything again.
func (m *master) rollBack(old *configuration) error {
	m.listeners.Retain(addresses(old.Snapshot))
	again := *old
	again.Generation = m.generation.Add(1)
	var err error
	if again.Cells, err = m.ledger.Retain(again.Generation, keys(old.Snapshot)); err != nil {
		return fmt.Errorf("go back to revision %d: %w", old.Snapshot.Revision, err)
	}
	m.workers.restore(&again, m.listeners.Sockets())
	m.current.Store(&again)
	return nil
}

// open makes the sockets of the addresses that are new in s: all or none.
func (m *master) open(s lb.Snapshot, old *configuration) (fresh []supervise.Socket, err error) {
	had := addresses(old.Snapshot)
	var added []netip.AddrPort
	for _, v := range s.Services {
		if v.Plane != lb.L7 || !v.VIP.Addr.IsValid() || slices.Contains(had, v.VIP.Addr) {
			continue
		}
		if err := m.listeners.Open([]netip.AddrPort{v.VIP.Addr}); err != nil {
			m.listeners.Retain(had)
			return nil, fmt.Errorf("service %s: %w", v.Name, err)
		}
		added = append(added, v.VIP.Addr)
	}
	for _, socket := range m.listeners.Sockets() {
		if slices.Contains(added, socket.Addr) {
			fresh = append(fresh, socket)
		}
	}
	return fresh, nil
}

// tellUp notes when backends come up that were there before: slow start counts
// from then. What comes with its service is not new to anybody.
func (m *master) tellUp(old lb.Snapshot, next *configuration) {
	before := map[string]bool{}
	for _, v := range old.Services {
		for _, b := range v.Backends {
			before[proxy.ServiceKey(v.Name)] = true
			before[proxy.BackendKey(v.Name, b.ID)] = b.Eligible()
		}
	}
	for _, v := range next.Snapshot.Services {
		if v.Plane != lb.L7 || !before[proxy.ServiceKey(v.Name)] {
			continue
		}
		for _, b := range v.Backends {
			if key := proxy.BackendKey(v.Name, b.ID); b.Eligible() && !before[key] {
				m.board.Shared(next.Cells[key]).UpSince.Store(scoreboard.Now())
			}
		}
	}
}

// settle repairs, once a second, what workers that were killed left behind in the
// accounts, until ctx ends.
func (m *master) settle(ctx context.Context) {
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-tick.C:
			m.ledger.Settle()
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

// hand refuses snapshots while another master takes over, or takes them again.
func (m *master) hand(over bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handing = over
}

// stop refuses further snapshots.
func (m *master) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopping = true
}

// stats adds up what all workers have counted, also those that have died.
func (m *master) stats() lb.Stats {
	c := m.current.Load()
	st := lb.Stats{Revision: c.Snapshot.Revision, Workers: m.states()}
	for _, v := range c.Snapshot.Services {
		if v.Plane != lb.L7 {
			continue
		}
		ss := lb.ServiceStats{Name: v.Name, Counters: m.counters(c, proxy.ServiceKey(v.Name)), HTTP: m.details(c, proxy.ServiceKey(v.Name)), Backends: make([]lb.BackendStats, 0, len(v.Backends))}
		for _, b := range v.Backends {
			key := proxy.BackendKey(v.Name, b.ID)
			ss.Backends = append(ss.Backends, lb.BackendStats{ID: b.ID, Name: b.Name, Counters: m.counters(c, key), HTTP: m.details(c, key)})
		}
		st.Services = append(st.Services, ss)
	}
	return st
}

func (m *master) counters(c *configuration, key string) lb.Counters {
	t := m.ledger.Totals(c.Cells[key])
	return lb.Counters{
		Connections: t.Connections, Requests: t.Requests, BytesIn: t.BytesIn, BytesOut: t.BytesOut,
		Errors: t.Errors, Retries: t.Retries, Active: uint64(t.InFlight), Queued: uint64(t.Queued),
	}
}
