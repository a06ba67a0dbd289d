package scoreboard

import (
	"testing"
	"unsafe"
)

func TestEveryOwnerHasItsOwnCacheLines(t *testing.T) {
	for name, size := range map[string]uintptr{
		"child": unsafe.Sizeof(child{}), "slot": unsafe.Sizeof(Slot{}),
		"shared": unsafe.Sizeof(Shared{}), "account": unsafe.Sizeof(account{}), "detail": unsafe.Sizeof(detail{}),
	} {
		if size%line != 0 {
			t.Errorf("a %s takes %d bytes, want whole cache lines", name, size)
		}
	}
	if size := unsafe.Sizeof(account{}); size != line {
		t.Errorf("an account takes %d bytes, want one cache line", size)
	}
	if size := unsafe.Sizeof(detail{}); size != 2*page || unsafe.Offsetof(detail{}.results) != page {
		t.Errorf("a detail takes %d bytes, want two pages", size)
	}
	var s Shared
	for name, offset := range map[string]uintptr{
		"turn": unsafe.Offsetof(s.Turn), "latency": unsafe.Offsetof(s.Latency), "ejectedUntil": unsafe.Offsetof(s.EjectedUntil),
	} {
		if offset%line != 0 {
			t.Errorf("%s is at %d, want the beginning of a line", name, offset)
		}
	}
	b := newBoard(t, Sizes{Children: 3, Threads: 5, Cells: 7})
	for name, p := range map[string]unsafe.Pointer{
		"children": unsafe.Pointer(&b.children[0]), "slots": unsafe.Pointer(&b.slots[0]),
		"shared": unsafe.Pointer(&b.shared[0]), "rows": unsafe.Pointer(&b.accounts[0]),
	} {
		if uintptr(p)%line != 0 {
			t.Errorf("%s begin at %p, want a cache line", name, p)
		}
	}
}

func TestRegionsDoNotOverlap(t *testing.T) {
	s := Sizes{Children: 256, Threads: 64, Cells: 512}
	r := s.regions()
	for _, c := range []struct {
		name            string
		from, size, end int
	}{
		{"header", 0, int(unsafe.Sizeof(header{})), r.children},
		{"children", r.children, 256 * 64, r.slots},
		{"slots", r.slots, 256 * 64 * 64, r.shared},
		{"shared", r.shared, 512 * 256, r.rows},
		{"rows", r.rows, 256 * 512 * 64, r.details},
		{"details", r.details, 256 * 512 * 8192, r.end},
	} {
		if c.from+c.size > c.end || c.from%line != 0 {
			t.Errorf("%s from %d with %d bytes does not end before %d", c.name, c.from, c.size, c.end)
		}
	}
}
