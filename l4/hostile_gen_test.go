package l4

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"

	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

// hostile makes packets that hover about the edge of what is sound: sound ones
// are made by the same code as everywhere, then damaged in ways that a parser may
// get wrong. The same seed makes the same packets.
type hostile struct {
	*rand.Rand
	seeds  [][]byte
	packet []byte // the last one, reused
}

func newHostile(seed uint64) *hostile {
	return &hostile{Rand: rand.New(rand.NewPCG(seed, 0)), seeds: hostileSeeds(), packet: make([]byte, 0, 2048)}
}

// hostilePorts are how many services of a kind there are, one port apart from 80 on.
const hostilePorts = 4

// hostileSeeds are sound packets of every kind to and from the rig's services.
func hostileSeeds() (seeds [][]byte) {
	add := func(s *segment) { seeds = append(seeds, s.bytes()) }
	for _, k := range kinds {
		for port := range hostilePorts {
			to := func(s *segment) {
				s.tcp.DstPort += layers.TCPPort(port)
				s.udp.DstPort += layers.UDPPort(port)
			}
			for _, flags := range [][]string{{"SYN"}, {"ACK"}, {"ACK", "PSH"}, {"FIN", "ACK"}, {"RST"}} {
				add(k.from(7, flags...).set(to))
			}
			add(k.from(8, "SYN").set(to).set(func(s *segment) { // with all that a real SYN bears
				s.tcp.Options = []layers.TCPOption{
					{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 0xb4}},
					{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2},
					{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)},
					{OptionType: layers.TCPOptionKindNop},
					{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}},
				}
			}))
			add(k.from(9, "ACK").set(to).set(func(s *segment) { s.payload = make([]byte, 1400) }))
		}
		for _, flags := range [][]string{{"SYN", "ACK"}, {"ACK"}, {"RST"}} {
			for server := range 2 { // of the service under nat
				add(k.reply(1+server, 7, flags...).set(func(s *segment) { s.tcp.SrcPort, s.udp.SrcPort = 81, 81 }))
			}
		}
		seeds = append(seeds, k.errorAbout(k.from(7, "ACK").bytes()))
	}
	return seeds
}

// errorAbout is an ICMP error of the client's router that quotes a packet.
func (k kind) errorAbout(packet []byte) []byte {
	s := k.from(7, "ACK")
	s.proto = lb.UDP // the layer that is about to be overwritten
	s.payload = packet[14:]
	out := s.bytes()
	if k.six {
		out[20] = 58
		return append(out[:54], append([]byte{2, 0, 0, 0, 0, 0, 5, 0}, packet[14:]...)...)
	}
	out[23] = 1
	return append(out[:34], append([]byte{3, 4, 0, 0, 0, 0, 5, 0}, packet[14:]...)...)
}

// edges are values at which lengths, ports and offsets change their meaning.
var edges = []uint16{0, 1, 4, 5, 7, 8, 19, 20, 21, 40, 41, 79, 80, 81, 127, 128, 255, 256, 1280, 1499, 1500, 1501, 0x2000, 0x4000, 0x7fff, 0x8000, 0xfffe, 0xffff}

// next is valid until it is called again.
func (h *hostile) next() []byte {
	h.packet = append(h.packet[:0], h.seeds[h.IntN(len(h.seeds))]...)
	h.move()
	for range h.IntN(4) {
		h.damage()
	}
	if len(h.packet) < 14 { // the kernel runs nothing on less
		h.packet = append(h.packet, make([]byte, 14-len(h.packet))...)
	}
	return h.packet
}

// move gives the packet one of a few thousand client ports, so that flows are met again.
func (h *hostile) move() {
	at := 34
	if h.packet[12] == 0x86 {
		at = 54
	}
	if port := binary.BigEndian.Uint16(h.packet[at:]); port >= 80 && port < 80+hostilePorts {
		at += 2 // a reply: the client is its destination
	}
	if h.IntN(8) > 0 {
		binary.BigEndian.PutUint16(h.packet[at:], 1024+uint16(h.IntN(4096)))
	}
}

// damage is one change.
func (h *hostile) damage() {
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
		other := h.seeds[h.IntN(len(h.seeds))]
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
	if len(h.packet) > 1514 {
		h.packet = h.packet[:1514]
	}
	if len(h.packet) == 0 {
		h.packet = h.packet[:1]
	}
}
