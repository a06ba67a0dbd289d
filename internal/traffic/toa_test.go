package traffic

import (
	"net/netip"
	"testing"
)

func TestTheClientIsFoundInASYN(t *testing.T) {
	four := func(options ...byte) []byte {
		for len(options)%4 != 0 {
			options = append(options, 0)
		}
		syn := append(make([]byte, 40), options...)
		syn[0], syn[32] = 0x45, byte(5+len(options)/4)<<4
		return syn
	}
	six := append(make([]byte, 60), 254, 20, 0x9c, 0x40, 0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1)
	six[0], six[52] = 0x60, 10<<4
	client := netip.MustParseAddrPort("198.18.1.1:40000")
	for name, c := range map[string]struct {
		syn  []byte
		want netip.AddrPort
	}{
		"nothing":            {nil, netip.AddrPort{}},
		"no options":         {four(), netip.AddrPort{}},
		"first":              {four(254, 8, 0x9c, 0x40, 198, 18, 1, 1, 2, 4, 5, 180), client},
		"behind others":      {four(1, 2, 4, 5, 180, 254, 8, 0x9c, 0x40, 198, 18, 1, 1), client},
		"behind the end":     {four(0, 254, 8, 0x9c, 0x40, 198, 18, 1, 1), netip.AddrPort{}},
		"of another length":  {four(254, 4, 1, 1), netip.AddrPort{}},
		"cut":                {four(254, 8, 0x9c, 0x40, 198, 18, 1, 1)[:46], netip.AddrPort{}},
		"beyond the options": {four(2, 40, 1, 1), netip.AddrPort{}},
		"a length of 0":      {four(3, 0, 1, 1), netip.AddrPort{}},
		"IPv6":               {six, netip.MustParseAddrPort("[2001:2::101]:40000")},
	} {
		if got := clientIn(c.syn); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
