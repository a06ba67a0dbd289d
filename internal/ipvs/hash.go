package ipvs

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// fold returns an address in 32 bits, in host order: an IPv6 address is the xor
// of its four words.
func fold(a netip.Addr) uint32 {
	if a.Is4() {
		b := a.As4()
		return binary.BigEndian.Uint32(b[:])
	}
	b := a.As16()
	return binary.BigEndian.Uint32(b[:]) ^ binary.BigEndian.Uint32(b[4:]) ^
		binary.BigEndian.Uint32(b[8:]) ^ binary.BigEndian.Uint32(b[12:])
}

// hash32 is multiplicative hashing by the golden ratio, the high bits of the
// product (hash_32 in include/linux/hash.h). Until Linux 4.18 the IPVS
// schedulers took the low bits instead, of a product with another constant.
func hash32(v uint32, width int) uint32 {
	return v * 0x61c88647 >> (32 - width)
}

// hsiphash is SipHash-1-3 of one 32-bit word under the key (key, key), cut to 32
// bits (lib/siphash.c: hsiphash on a 64-bit machine; a 32-bit kernel uses
// HalfSipHash and chooses otherwise).
func hsiphash(word uint32, key uint64) uint32 {
	v0, v1 := 0x736f6d6570736575^key, 0x646f72616e646f6d^key
	v2, v3 := 0x6c7967656e657261^key, 0x7465646279746573^key
	round := func() {
		v0 += v1
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v0 = bits.RotateLeft64(v0, 32)
		v2 += v3
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 += v3
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v2 += v1
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	last := uint64(4)<<56 | uint64(word) // 4: the length
	v3 ^= last
	round()
	v0 ^= last
	v2 ^= 0xff
	for range 3 {
		round()
	}
	return uint32(v0 ^ v1 ^ v2 ^ v3)
}
