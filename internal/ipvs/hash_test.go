package ipvs

import (
	"net/netip"
	"testing"
)

func TestFold(t *testing.T) {
	for text, want := range map[string]uint32{
		"10.2.0.1":     0x0a020001,
		"fd00:1::2:3":  0xfd000001 ^ 0x00020003,
		"1:2:3:4::":    0x00010002 ^ 0x00030004,
		"ffff:ffff::1": 0xfffffffe,
	} {
		if got := fold(netip.MustParseAddr(text)); got != want {
			t.Errorf("fold(%s) = %08x, want %08x", text, got, want)
		}
	}
}

func TestHash32TakesTheHighBitsOfTheProduct(t *testing.T) {
	for v, want := range map[uint32]uint32{0: 0, 1: 0x61, 2: 0xc3, 0xffffffff: 0x9e} {
		if got := hash32(v, 8); got != want {
			t.Errorf("hash32(%#x, 8) = %#x, want %#x", v, got, want)
		}
	}
}

// The wanted values are Python 3.11's: its hash of bytes is SipHash-1-3, with the
// key 0 if PYTHONHASHSEED=0.
func TestHsiphashIsSipHash13(t *testing.T) {
	for word, want := range map[uint32]uint32{1: 0xc37b7090, 0x0a020001: 0x33fad142, 0xffffffff: 0x74cad6e2} {
		if got := hsiphash(word, 0); got != want {
			t.Errorf("hsiphash(%#x) = %#x, want %#x", word, got, want)
		}
	}
}
