package balance

import (
	"encoding/binary"

	"lbctl/internal/lb"
)

// Hash returns the hash by which sh (client address) and mh (client address and
// port) index their tables: slot = Hash mod size. It is cheap and simple enough
// for the XDP program to compute the same:
//
//	IPv4:  h = mix(addr << 16 | port)              addr and port in host order
//	IPv6:  h = mix(mix(high 64 bits) ^ low 64 bits ^ port)
//	Hash = h >> 32                                 port is 0 for sh
//
// where mix is the finalizer of MurmurHash3 (fmix64). An IPv4-mapped IPv6
// address counts as IPv4.
func Hash(policy lb.Policy, k Key) uint32 {
	var port uint64
	if policy == lb.Maglev {
		port = uint64(k.SrcPort)
	}
	a := k.Src.Unmap()
	if a.Is4() {
		b := a.As4()
		return uint32(mix(uint64(binary.BigEndian.Uint32(b[:]))<<16|port) >> 32)
	}
	b := a.As16()
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	return uint32(mix(mix(hi)^lo^port) >> 32)
}

// mix is fmix64 of MurmurHash3 (Austin Appleby, public domain).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}

// HashBytes is the Key.Hash of a header's, cookie's or parameter's value or a
// path: FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo), finished with mix. It is the
// same in every process and after every restart.
func HashBytes[T ~string | ~[]byte](value T) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(value) {
		h = (h ^ uint64(value[i])) * 0x100000001b3
	}
	return mix(h)
}
