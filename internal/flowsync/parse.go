package flowsync

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"lbctl/internal/lb"
)

// ErrMalformed is what Parse returns of a message that no sender makes.
var ErrMalformed = errors.New("malformed sync message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Parse returns the flows of a message, all or none. Entries that are no flows,
// such as templates of persistence, are left out.
func Parse(b []byte) (syncID byte, flows []lb.ToldFlow, err error) {
	if len(b) < headerSize {
		return 0, nil, malformed("%d bytes", len(b))
	}
	if b[0] != 0 || b[5] != protocolVersion || b[6] != 0 || b[7] != 0 {
		return 0, nil, malformed("version %d, reserved %d, spare %x", b[5], b[0], b[6:8])
	}
	if size := int(binary.BigEndian.Uint16(b[2:])); size != len(b) {
		return 0, nil, malformed("%d bytes that say they are %d", len(b), size)
	}
	rest := b[headerSize:]
	for i := range int(b[4]) {
		f, meant, used, err := parseEntry(rest)
		if err != nil {
			return 0, nil, fmt.Errorf("entry %d: %w", i, err)
		}
		if meant {
			flows = append(flows, f)
		}
		// The last entry may end unaligned.
		rest = rest[min((used+3)&^3, len(rest)):]
	}
	if len(rest) > 0 {
		return 0, nil, malformed("%d bytes behind the last entry", len(rest))
	}
	return b[1], flows, nil
}

// parseEntry returns the first entry of b and its length. It is not meant if it
// is no flow.
func parseEntry(b []byte) (f lb.ToldFlow, meant bool, used int, err error) {
	if len(b) < 4 {
		return f, false, 0, malformed("%d bytes", len(b))
	}
	base, six := entrySize4, b[0] == typeInet6
	if six {
		base = entrySize6
	}
	versionAndSize := binary.BigEndian.Uint16(b[2:])
	used = int(versionAndSize & sizeMask)
	if b[0] > typeInet6 || versionAndSize != uint16(used) || used < base || used > len(b) {
		return f, false, 0, malformed("type %d, version and size %#x of %d bytes", b[0], versionAndSize, len(b))
	}
	b = b[:used]
	flags := binary.BigEndian.Uint32(b[4:])
	state := binary.BigEndian.Uint16(b[8:])
	seconds := binary.BigEndian.Uint32(b[20:])
	length := (base - 24) / 3
	addr := func(i int) netip.Addr {
		a, _ := netip.AddrFromSlice(b[24+i*length : 24+(i+1)*length])
		return a
	}
	f.Client = netip.AddrPortFrom(addr(0), binary.BigEndian.Uint16(b[10:]))
	f.VIP = netip.AddrPortFrom(addr(1), binary.BigEndian.Uint16(b[12:]))
	f.Backend = netip.AddrPortFrom(addr(2), binary.BigEndian.Uint16(b[14:]))
	f.Left = time.Duration(seconds) * time.Second
	if err := parseParams(&f, b[base:]); err != nil {
		return f, false, 0, err
	}
	if flags&flagsUnmeant != 0 {
		return f, false, used, nil
	}
	return f, true, used, check(&f, b[1], state, flags)
}

// check fills in what numbers stand for and refuses what no flow can be.
func check(f *lb.ToldFlow, proto byte, state uint16, flags uint32) error {
	known := false
	switch proto {
	case protoTCP:
		f.Proto = lb.TCP
		f.State, known = tcpStateOf[state]
	case protoUDP:
		f.Proto, f.State, known = lb.UDP, lb.FlowDatagrams, state == 0
	}
	if !known {
		return malformed("protocol %d in state %d", proto, state)
	}
	if f.Forward, known = forwardOf[flags&forwardMask]; !known {
		return malformed("flags %#x", flags)
	}
	if f.Left > longestLeft {
		return malformed("%s left", f.Left)
	}
	for _, a := range []netip.AddrPort{f.Client, f.VIP, f.Backend} {
		if a.Addr().IsUnspecified() || a.Addr().IsMulticast() || a.Addr().Is4In6() || a.Port() == 0 {
			return malformed("address %s", a)
		}
	}
	f.Service.Proto = f.Proto
	if !f.Service.Addr.IsValid() {
		f.Service.Addr = f.VIP
	}
	return nil
}

// parseParams reads what follows an entry. Each parameter may be there once.
func parseParams(f *lb.ToldFlow, b []byte) error {
	seen := map[byte]bool{}
	for len(b) > 0 {
		if len(b) < 2 || b[1] == 0 || len(b) < 2+int(b[1]) {
			return malformed("a parameter of %d bytes", len(b))
		}
		kind, value := b[0], b[2:2+int(b[1])]
		b = b[2+int(b[1]):]
		if seen[kind] {
			return malformed("parameter %#x twice", kind)
		}
		seen[kind] = true
		ok := true
		switch {
		case kind == paramService:
			f.Service.Addr, ok = addrPort(value)
		case kind == paramPeer:
			f.Peer, ok = addrPort(value)
		case kind == paramDelta:
			if ok = len(value) == 5; ok {
				f.Delta, f.Shift = binary.BigEndian.Uint32(value), int8(value[4])
			}
		case kind&paramSkippable == 0:
			ok = false
		}
		if !ok {
			return malformed("parameter %#x of %d bytes", kind, len(value))
		}
	}
	return nil
}

func addrPort(b []byte) (netip.AddrPort, bool) {
	if len(b) != 4+2 && len(b) != 16+2 {
		return netip.AddrPort{}, false
	}
	a, _ := netip.AddrFromSlice(b[:len(b)-2])
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[len(b)-2:])), !a.Is4In6() && !a.IsUnspecified()
}
