package http1

import "encoding/binary"

// A known name, by its first and its last bytes, in lower case.
type known struct {
	first, last uint64
	id          Name
	lower       string
}

// maxName is the length of the longest known name.
const maxName = 25

var byLength = indexNames()

func indexNames() (t [maxName + 1][]known) {
	for id := NameOther + 1; id < lastName; id++ {
		lower := []byte(names[id])
		for i, c := range lower {
			if c-'A' < 26 {
				lower[i] = c | 0x20
			}
		}
		first, last := ends(lower)
		t[len(lower)] = append(t[len(lower)], known{first, last, id, string(lower)})
	}
	return t
}

// LookupName knows a name, whatever its case. It must be a token: among tokens
// of one length, two are the same letters, hyphens and underscores iff they are after
// 0x20 is set in each byte.
func LookupName(name []byte) Name {
	if len(name) > maxName {
		return NameOther
	}
	candidates := byLength[len(name)]
	if len(candidates) == 0 {
		return NameOther
	}
	first, last := ends(name)
	for i := range candidates {
		k := &candidates[i]
		if k.first == first && k.last == last && (len(name) <= 16 || equalFold(name[8:len(name)-8], k.lower[8:len(name)-8])) {
			return k.id
		}
	}
	return NameOther
}

// ends returns the first and the last eight bytes of a name with 0x20 set in
// each; they overlap in a name shorter than 16. Shorter than eight it is halves.
func ends(b []byte) (first, last uint64) {
	switch n := len(b); {
	case n >= 8:
		first, last = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		first, last = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	case n >= 2:
		first, last = uint64(binary.LittleEndian.Uint16(b)), uint64(binary.LittleEndian.Uint16(b[n-2:]))
	}
	return first | 0x20*ones, last | 0x20*ones
}
