package l4

import (
	"encoding/binary"
	"math/rand/v2"

	"lbctl/internal/lb"
)

// Where the defended service is among hostileServices, 80 and its index, and its servers' port, which no other has.
const (
	defendedPort = 87
	natDefended  = 90
)

// defendedLimit is how many SYNs it takes in a second: fewer than a burst has.
const (
	defendedLimit = 20
	burstOfSYNs   = 64
)

// dialogue is the part of a campaign that answers: both ends of connections with
// the defended service, whose numbers only the plane's own packets tell. It draws
// from a source of its own, so that all else stays the same whatever comes out.
type dialogue struct {
	*rand.Rand
	syns   [2][]byte   // by streams
	heard  [256][]byte // answers to what has come out, the latest
	answer int         // how many there have been
	burst  int         // SYNs still to come
	six    int         // the burst's family, an index of streams
}

func newDialogue(seed uint64) *dialogue {
	d := &dialogue{Rand: rand.New(rand.NewPCG(seed, 1))}
	for i, k := range streams {
		s := k.hostile(7, defendedPort, "SYN")
		options(nil, s)
		d.syns[i] = s.bytes()
	}
	return d
}

// next writes a packet over the one given, or returns false if it is not its turn.
func (d *dialogue) next(packet []byte) ([]byte, bool) {
	if d.burst == 0 {
		if d.IntN(8) > 0 {
			return packet, false
		}
		if d.IntN(256) == 0 {
			d.burst, d.six = burstOfSYNs, d.IntN(2)
		}
	}
	switch known := min(d.answer, len(d.heard)); {
	case d.burst > 0:
		d.burst--
		packet = append(packet[:0], d.syns[d.six]...)
		binary.BigEndian.PutUint16(packet[transport.in(streams[d.six]):], 1024+uint16(d.IntN(4096)))
		return packet, true
	case known > 0:
		return append(packet[:0], d.heard[d.IntN(known)]...), true
	}
	return packet, false
}

// hear keeps the answers to what has come out, if it is of the defended service.
func (d *dialogue) hear(out []byte) {
	at, sport, dport := portsOf(out)
	if at == 0 || sport != defendedPort && dport != natDefended {
		return
	}
	const fin, syn, rst, ack = 1, 2, 4, 16
	switch out[at+13] & (fin | syn | rst | ack) {
	case syn | ack:
		d.keep(out, at, ack)
	case syn:
		d.keep(out, at, syn|ack)
		d.keep(out, at, rst|ack)
		d.keep(out, at, ack)
	case ack, fin | ack:
		d.keep(out, at, ack)
		d.keep(out, at, fin|ack)
	}
}

// keep is the other end's answer to a frame whose TCP header is there: of these flags, without data.
func (d *dialogue) keep(out []byte, at int, flags byte) {
	slot := &d.heard[d.answer%len(d.heard)]
	d.answer++
	p := append((*slot)[:0], out[:at+20]...)
	addresses, size, lengthAt, length := 26, 4, atLength, 40
	if at == at6Transport {
		addresses, size, lengthAt, length = 22, 16, at6Length, 20
	}
	copy(p, out[6:12])
	copy(p[6:], out[:6])
	copy(p[addresses:], out[addresses+size:addresses+2*size])
	copy(p[addresses+size:], out[addresses:addresses+size])
	copy(p[at:], out[at+2:at+4])
	copy(p[at+2:], out[at:at+2])
	copy(p[at+4:], out[at+8:at+12])
	binary.BigEndian.PutUint32(p[at+8:], binary.BigEndian.Uint32(out[at+4:])+1)
	p[at+12], p[at+13] = 5<<4, flags
	binary.BigEndian.PutUint16(p[lengthAt:], uint16(length))
	*slot = p
}

// portsOf is where the TCP header of a frame begins, and its ports; 0 if there is none.
func portsOf(frame []byte) (at int, sport, dport uint16) {
	if len(frame) < at6Transport {
		return 0, 0, 0
	}
	switch {
	case frame[12] == 0x08 && frame[atProtocol] == 6:
		at = atPort
	case frame[12] == 0x86 && frame[at6NextHeader] == 6:
		at = at6Transport
	}
	if at == 0 || len(frame) < at+20 {
		return 0, 0, 0
	}
	return at, binary.BigEndian.Uint16(frame[at:]), binary.BigEndian.Uint16(frame[at+2:])
}

// movesEnd reports whether the plane may change the length of a packet, other than by a tunnel's headers.
func movesEnd(in []byte) bool {
	at, sport, dport := portsOf(in)
	return len(in) > hostileLong || at > 0 && (dport == defendedPort || sport == natDefended)
}

// defend makes it the defended service: of IPv6 under fullnat.
func defend(v *lb.Service) {
	v.Forward = lb.NAT
	if v.VIP.Addr.Addr().Is6() {
		v.Forward = lb.FullNAT
	}
	if v.VIP.Proto == lb.TCP {
		v.L4.TOA = v.Forward == lb.FullNAT
		v.L4.SYNCookies, v.L4.SYNLimit = lb.SYNCookiesAlways, defendedLimit
	}
}
