package balance

import (
	"encoding/binary"
	"testing"

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
