package ipvsadm

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// sorted returns the items in order by merging halves, as the C library's qsort
// does. It matters, because ipvsadm's comparisons are differences of 32 bits
// that wrap around: 200.0.0.1 comes before 10.0.0.1, and three addresses can
// each come before the next one around.
func sorted[T any](items []T, compare func(a, b *T) int) []T {
	items = slices.Clone(items)
	if len(items) < 2 {
		return items
	}
	half := len(items) / 2
	a, b := sorted(items[:half], compare), sorted(items[half:], compare)
	out := items[:0]
	for len(a) > 0 && len(b) > 0 {
		if compare(&a[0], &b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func difference(a, b uint32) int { return int(int32(a - b)) }

func compareServices(a, b *Service) int {
	return cmp.Or(
		difference(a.Mark, b.Mark),
		difference(family(a.Six), family(b.Six)),
		int(a.Proto)-int(b.Proto),
		compareAddrs(a.Addr, b.Addr),
		int(a.Port)-int(b.Port),
	)
}

func compareDests(a, b *Dest) int {
	return cmp.Or(compareAddrs(a.Addr.Addr(), b.Addr.Addr()), int(a.Addr.Port())-int(b.Addr.Port()))
}

func family(six bool) uint32 {
	if six {
		return 10
	}
	return 2
}

// compareAddrs goes by the first address's family, whatever the second one's is.
func compareAddrs(a, b netip.Addr) int {
	if !a.IsValid() || !b.IsValid() {
		return 0
	}
	if a.Is4() {
		return difference(word(a, 0), word(b, 0))
	}
	for i := range 4 {
		if d := difference(word(a, i), word(b, i)); d != 0 {
			return d
		}
	}
	return 0
}

// word is the address's i-th 32 bits; those that an IPv4 address lacks are 0.
func word(a netip.Addr, i int) uint32 {
	bytes := a.AsSlice()
	if 4*i >= len(bytes) {
		return 0
	}
	return binary.BigEndian.Uint32(bytes[4*i:])
}
