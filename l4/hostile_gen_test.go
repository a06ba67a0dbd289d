package l4

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/gopacket/gopacket/layers"
)

// hostile makes packets that hover about the edge of what is sound: sound ones
// are made by the same code as everywhere, then damaged in ways that a parser may
// get wrong. The same seed makes the same packets, but for answers to what comes out.
type hostile struct {
	*rand.Rand
	seeds    []hostileSeed
	dialogue *dialogue
	packet   []byte // the last one, reused
}

// hostileSeed is a sound packet, and where in it the client's port stands.
type hostileSeed struct {
	packet []byte
	port   int
}

// hostileLong is less than what may be too long on some way.
const hostileLong = 1400

func newHostile(seed uint64) *hostile {
	return &hostile{Rand: rand.New(rand.NewPCG(seed, 0)), seeds: hostileSeeds(), dialogue: newDialogue(seed), packet: make([]byte, 0, 2048)}
}

// hostileSeeds are sound packets of every kind to and from the rig's services.
func hostileSeeds() (seeds []hostileSeed) {
	for _, k := range kinds {
		for port := range hostileServices {
			seeds = append(seeds, k.hostileRequests(80+port)...)
		}
		transport := transport.in(k)
		for _, flags := range [][]string{{"SYN", "ACK"}, {"ACK"}, {"RST"}} {
			for server := range 2 { // of the services under nat
				s := k.reply(1+server, 7, flags...)
				for _, at := range []uint16{natHostile, natDefended} {
					s.tcp.SrcPort, s.udp.SrcPort = layers.TCPPort(at), layers.UDPPort(at)
					for _, to := range []netip.Addr{k.client(), k.hostileLocal()} {
						seeds = append(seeds, hostileSeed{s.target(to).bytes(), transport + 2})
					}
				}
			}
		}
		quote := 2*transport - 14 + 8
		for _, e := range icmpErrors[k.six] {
			for port := range hostileServices {
				got := k.hostile(7, 80+port, "ACK").source(k.vip().Addr()).target(k.client())
				got.tcp.SrcPort, got.tcp.DstPort = got.tcp.DstPort, got.tcp.SrcPort
				got.udp.SrcPort, got.udp.DstPort = got.udp.DstPort, got.udp.SrcPort
				m := k.message(e.typ, e.code, e.rest, quoted(got.bytes(), port%2 == 0))
				seeds = append(seeds, hostileSeed{m.bytes(), quote + 2})
			}
			m := k.message(e.typ, e.code, e.rest, quoted(k.hostile(7, natHostile, "ACK").target(k.of(backendAddr(1))).bytes(), false))
			m.src, m.dst, m.from = k.of(backendAddr(1)), k.client(), backendMAC(1)
			seeds = append(seeds, hostileSeed{m.bytes(), quote})
			m.dst = k.hostileLocal()
			m.quote = quoted(k.hostile(7, natHostile, "ACK").source(m.dst).target(k.of(backendAddr(1))).bytes(), false)
			seeds = append(seeds, hostileSeed{m.bytes(), quote})
		}
	}
	return seeds
}

// hostilePools are one local address of each family, whose flows replies happen to meet.
var hostilePools = []netip.Prefix{netip.PrefixFrom(pools[0].Addr(), 32), netip.PrefixFrom(pools[1].Addr(), 128)}

func (k kind) hostileLocal() netip.Addr { return poolOf(k).Addr() }

// hostile is the client's packet to one of the services.
func (k kind) hostile(from, to int, flags ...string) *segment {
	s := k.from(from, flags...)
	s.tcp.DstPort, s.udp.DstPort = layers.TCPPort(to), layers.UDPPort(to)
	return s
}

// hostileRequests are packets of all kinds to a service.
func (k kind) hostileRequests(port int) (seeds []hostileSeed) {
	add := func(s *segment) { seeds = append(seeds, hostileSeed{s.bytes(), transport.in(k)}) }
	for _, flags := range [][]string{{"SYN"}, {"ACK"}, {"ACK", "PSH"}, {"FIN", "ACK"}, {"RST"}} {
		add(k.hostile(7, port, flags...))
	}
	full := k.hostile(8, port, "SYN")
	options(nil, full)
	add(full)
	for _, n := range []int{hostileLong, 1453, 1500, 1501, 1900} {
		add(k.hostile(9, port, "ACK").long(n))
	}
	add(k.hostile(9, port, "ACK").long(1501).set(func(s *segment) { s.ip.Flags = 0 }))
	for server := range uint16(3) {
		add(k.hostile(10, port, "ACK").carrying(short(connectionID(server+1, 8))))
	}
	return seeds
}

// edges are values at which lengths, ports and offsets change their meaning.
var edges = []uint16{0, 1, 4, 5, 7, 8, 19, 20, 21, 40, 41, 79, 80, 81, 127, 128, 255, 256, 1280, 1499, 1500, 1501, 0x2000, 0x4000, 0x7fff, 0x8000, 0xfffe, 0xffff}

// next is valid until it is called again.
func (h *hostile) next() []byte {
	packet, answers := h.dialogue.next(h.packet)
	if answers {
		h.packet = packet
		random := h.Rand
		h.Rand = h.dialogue.Rand
		h.damage(max(h.IntN(8)-4, 0))
		h.Rand = random
	} else {
		seed := h.seeds[h.IntN(len(h.seeds))]
		h.packet = append(h.packet[:0], seed.packet...)
		if h.IntN(8) > 0 { // one of a few thousand clients, so that flows are met again
			binary.BigEndian.PutUint16(h.packet[seed.port:], 1024+uint16(h.IntN(4096)))
		}
		h.damage(h.IntN(4))
	}
	if len(h.packet) < 14 { // the kernel runs nothing on less
		h.packet = append(h.packet, make([]byte, 14-len(h.packet))...)
	}
	return h.packet
}

func (h *hostile) damage(changes int) {
	for range changes {
		h.change()
	}
}

// change is one that does damage.
func (h *hostile) change() {
	p := h.packet
	at := h.IntN(min(len(p), 96)) // headers, mostly
	switch h.IntN(10) {
	case 0:
		p[at] ^= 1 << h.IntN(8)
	case 1:
		p[at] = byte(h.Uint32())
	case 2:
		if at+2 <= len(p) {
			binary.BigEndian.PutUint16(p[at:], edges[h.IntN(len(edges))])
		}
	case 3:
		h.packet = p[:h.IntN(len(p)+1)]
	case 4:
		h.packet = append(p, make([]byte, h.IntN(64))...)
	case 5: // an option, an extension header or something that shifts the rest
		n := 4 * (1 + h.IntN(10))
		h.packet = append(p[:at:at], append(bytes.Repeat([]byte{byte(h.Uint32())}, n), p[at:]...)...)
	case 6: // the header of another packet
		other := h.seeds[h.IntN(len(h.seeds))].packet
		copy(p, other[:min(at, len(other))])
	case 7: // TCP flags of all kinds, where TCP is
		if len(p) > 67 {
			p[47], p[67] = byte(h.Uint32()), byte(h.Uint32())
		}
	case 8:
		for i := range 8 {
			if at+i < len(p) {
				p[at+i] = byte(h.Uint32())
			}
		}
	case 9: // from whom it goes to
		switch {
		case len(p) >= 58 && p[12] == 0x86:
			copy(p[22:38], p[38:54])
			copy(p[54:56], p[56:58])
		case len(p) >= 38:
			copy(p[26:30], p[30:34])
			copy(p[34:36], p[36:38])
		}
	}
	if len(h.packet) > 1940 {
		h.packet = h.packet[:1940]
	}
	if len(h.packet) == 0 {
		h.packet = h.packet[:1]
	}
}
