package balance

import (
	"cmp"
	"fmt"
	"sync/atomic"

	"lbctl/internal/lb"
)

// An Ejector judges the backends of a service by their answers, together with all
// others that share its State. It is immutable.
//
// An answer that ejects does so once: of several processes, the one whose CAS
// resets the backend's outcomes goes on. It must not exceed the share that may
// be ejected, although another process may be ejecting another backend. So each
// ejection is first written whole into one word of the service by CAS, then into
// the backend's EjectedUntil; and whoever counts the ejected ones first completes
// what stands in that word. A process that dies between the two does no harm.
type Ejector struct {
	rule    lb.Outlier
	last    *atomic.Uint64 // see packEjection
	members map[lb.BackendID]judged
	sizes   map[bool]int // how many backups there are, and how many others
}

// judged is an eligible backend. Backups are counted apart from the others, as
// they serve apart from them.
type judged struct {
	Member
	backup bool
}

// mostID is what fits into State.Ejecting.
const mostID = 1<<24 - 1

// NewEjector returns the Ejector of a service's eligible backends by its rule.
// Without a rule it ejects nobody.
func NewEjector(s lb.Service, state State) (*Ejector, error) {
	e := &Ejector{
		rule: s.HTTP.Outlier, last: cmp.Or(state.Ejecting, new(atomic.Uint64)),
		members: map[lb.BackendID]judged{}, sizes: map[bool]int{},
	}
	for _, b := range eligible(s.Backends) {
		if b.ID == 0 || b.ID > mostID {
			return nil, fmt.Errorf("new ejector: backend %q has ID %d: want 1 to %d", b.Name, b.ID, mostID)
		}
		e.members[b.ID] = judged{state.member(b.ID), b.Backup}
		e.sizes[b.Backup]++
	}
	return e, nil
}

// Report tells how a backend answered a request. Where that ejects the backend,
// it returns until when and true, to one caller only. Answers of a backend that
// is ejected, to requests from before, do not count.
func (e *Ejector) Report(id lb.BackendID, failed bool, now int64) (until int64, ejected bool) {
	m, ok := e.members[id]
	if !ok {
		return 0, false
	}
	for m.EjectedUntil.Load() <= now {
		old := m.Outcomes.Load()
		next, eject := stepOutcome(e.rule, unpackOutcomes(old), failed, now)
		if !m.Outcomes.CompareAndSwap(old, next.pack()) {
			continue
		}
		if !eject {
			return 0, false
		}
		return e.eject(id, m, now)
	}
	return 0, false
}

// eject ejects a backend unless that would be one too many.
func (e *Ejector) eject(id lb.BackendID, m judged, now int64) (until int64, ejected bool) {
	for {
		last := e.last.Load()
		e.complete(last)
		was := m.EjectedUntil.Load()
		if was > now || !mayEject(e.rule, e.sizes[m.backup], e.ejected(m.backup, now)) {
			return 0, false
		}
		until := stepEjection(e.rule, was, now)
		next := packEjection(id, until)
		if e.last.CompareAndSwap(last, next) {
			e.complete(next)
			return until, true
		}
	}
}

// ejected counts the backends, or the backups, that are.
func (e *Ejector) ejected(backup bool, now int64) int {
	n := 0
	for _, m := range e.members {
		if m.backup == backup && m.EjectedUntil.Load() > now {
			n++
		}
	}
	return n
}

// complete makes an ejection true that stands in the service's word, as often as
// it is called.
func (e *Ejector) complete(word uint64) {
	id, until := unpackEjection(word)
	m, ok := e.members[id]
	for ok {
		old := m.EjectedUntil.Load()
		if old >= until || m.EjectedUntil.CompareAndSwap(old, until) {
			return
		}
	}
}
