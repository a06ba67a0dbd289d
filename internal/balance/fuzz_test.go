package balance

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// FuzzTable makes services of every shape and holds each policy to what all
// policies promise.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x01, 0, 0, 0, 2, 0x01})
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 0x01, 0, 0, 0, 1, 0x01, 0, 0, 0, 1, 0x02})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x01, 0xff, 0xff, 0xff, 0xfe, 0x01, 0, 0, 0, 0, 0x01, 0, 0, 0, 9, 0x05})
	f.Fuzz(func(t *testing.T, data []byte) {
		var weights []uint32
		var states []byte
		for ; len(data) >= 5 && len(weights) < 40; data = data[5:] {
			weights = append(weights, binary.BigEndian.Uint32(data))
			states = append(states, data[4])
		}
		backends := members(weights...)
		may := map[lb.BackendID]bool{}
		for i := range backends {
			backends[i].Health = lb.Health(states[i] % 3)
			backends[i].Admin = lb.Admin(states[i] >> 2 % 3)
			if backends[i].Eligible() {
				may[backends[i].ID] = true
			}
		}
		for _, p := range tablePolicies {
			checkTable(t, p, backends, may)
		}
		checkShares(t, backends, 251)
		for _, p := range allPolicies {
			if id, ok := mustNew(t, service(p, backends), new(words)).Pick(client(len(weights)), nil); ok != (len(may) > 0) || ok && !may[id] {
				t.Errorf("%s of %v: picked %d, %v", p, backends, id, ok)
			}
		}
	})
}

func checkTable(t *testing.T, p lb.Policy, backends []lb.Backend, may map[lb.BackendID]bool) {
	const size = 251
	table := mustTable(t, p, backends, size)
	if len(may) == 0 {
		if table != nil {
			t.Errorf("%s: table without an eligible backend", p)
		}
		return
	}
	if hashes := p == lb.SourceHash || p == lb.Maglev || p == lb.KeyHash; len(table) > size || hashes && len(table) != size {
		t.Errorf("%s: %d slots", p, len(table))
	}
	slots := count(table)
	for id := range slots {
		if !may[id] {
			t.Errorf("%s: backend %d is not eligible", p, id)
		}
	}
	for id := range may {
		if slots[id] == 0 {
			t.Errorf("%s: backend %d has no slot", p, id)
		}
	}
}

// FuzzPick makes services in every state and holds each choice to the one set
// that it may be from.
func FuzzPick(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 1, 0, 0, 0}, uint64(1))
	f.Add([]byte{1, 1, 2, 0, 0, 0, 1, 2, 0, 255, 0, 3, 4, 0x40, 1, 9}, uint64(99))
	f.Add([]byte{9, 0x20, 0, 0, 1, 0x60, 0, 0, 0, 0x80, 0, 0, 7, 0x10, 3, 4}, uint64(1<<63))
	f.Fuzz(func(t *testing.T, data []byte, random uint64) {
		k := Key{Src: client(1).Src, Hash: random, Random: random, Now: 1000 * second}
		backends, w, tried := stateFrom(data, k.Now)
		want := mayBePicked(backends, w, tried, k.Now)
		for _, policy := range allPolicies {
			p := mustNew(t, service(policy, backends, bounded(110), slowStart(time.Minute)), w)
			w.active.Store(int64(random % 1000))
			id, ok := p.Pick(k, tried)
			if ok != (len(want) > 0) || ok && !slices.Contains(want, id) {
				t.Errorf("%s of %+v, tried %v: picked %d, want one of %v", policy, backends, tried, id, want)
			}
			if ok {
				w.members[id].inFlight.Add(-1)
			}
		}
	})
}

// stateFrom reads four bytes for each backend: weight, flags, limit, load.
func stateFrom(data []byte, now int64) ([]lb.Backend, *words, []lb.BackendID) {
	var w words
	var tried []lb.BackendID
	backends := equals(min(len(data)/4, 40))
	for i := range backends {
		b, flags := &backends[i], data[4*i+1]
		b.Weight = uint32(data[4*i])
		if b.Weight == 255 {
			b.Weight = 1<<32 - 1
		}
		b.Health, b.Admin = lb.Health((flags+1)&3%3), lb.Admin(flags>>2&3%3)
		b.MaxConn = uint32(data[4*i+2])
		w.members[b.ID].inFlight.Store(int64(data[4*i+3]))
		if flags&0x10 != 0 {
			w.members[b.ID].ejectedUntil.Store(now + 1)
		}
		if b.Backup = flags&0x20 != 0; flags&0x40 != 0 {
			tried = append(tried, b.ID)
		}
		if flags&0x80 != 0 {
			w.members[b.ID].upSince.Store(now)
		}
	}
	return backends, &w, tried
}

// mayBePicked returns the first of four sets that has a backend: those that are
// not ejected, backups that are not, and both of those that are.
func mayBePicked(backends []lb.Backend, w *words, tried []lb.BackendID, now int64) []lb.BackendID {
	var sets [4][]lb.BackendID
	for _, b := range backends {
		full := b.MaxConn > 0 && w.members[b.ID].inFlight.Load() >= int64(b.MaxConn)
		if !b.Eligible() || full || slices.Contains(tried, b.ID) {
			continue
		}
		set := 0
		if b.Backup {
			set++
		}
		if w.members[b.ID].ejectedUntil.Load() > now {
			set += 2
		}
		sets[set] = append(sets[set], b.ID)
	}
	for _, set := range sets {
		if len(set) > 0 {
			return set
		}
	}
	return nil
}
