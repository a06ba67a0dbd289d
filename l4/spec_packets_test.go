package l4

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

// The service under test is at port 80. These are others of its address.
const (
	nonePort   = 81 // a service without backends
	sharedPort = 82 // one that shares backend s1
	closedPort = 8080
	clientPort = 40000
)

func withPort(a netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}

// server is a backend as frames know it.
type server struct {
	addr    netip.Addr
	mac, by net.HardwareAddr // by is the balancer's own, of the interface on that side
	source  netip.Addr       // the balancer's own there
}

func near(i int) server { return server{backendAddr(i), backendMAC(i), portMAC, balancer} }

var far = server{farAddr, backendMAC(101), otherMAC, netip.MustParseAddr("198.18.16.1")}

// packet is a segment or datagram, made anew each time it is asked for.
type packet func(x *scene) *segment

func (p packet) bytes(x *scene) []byte { return p(x).bytes() }
func (p packet) text(x *scene) string  { return describe(p.bytes(x)) }

// with changes something of it.
func (p packet) with(change func(x *scene, s *segment)) packet {
	return func(x *scene) *segment {
		s := p(x)
		change(x, s)
		return s
	}
}

// long makes it as long as what fits to the byte, and so many bytes more.
func (p packet) long(more int) packet {
	return p.with(func(x *scene, s *segment) { s.long(x.by.room + more) })
}

// flow is a packet of the client's, from port 40000.
func flow(flags ...string) packet { return flowFrom(clientPort, flags...) }

func flowFrom(port int, flags ...string) packet {
	return func(x *scene) *segment {
		s := x.k.from(port, flags...)
		if x.n > 0 {
			s.varied(x.n)
		}
		return s
	}
}

// reply is what backend i sends in that flow, where replies pass the balancer.
func reply(i int, flags ...string) packet {
	return func(x *scene) *segment { return x.by.reply(x, plainReply(i, flags...)(x)) }
}

// plainReply is the same under nat.
func plainReply(i int, flags ...string) packet {
	return func(x *scene) *segment {
		s := x.k.reply(i, clientPort, flags...)
		if x.n > 0 {
			s.varied(x.n)
		}
		return s
	}
}

// answer is the reply as the client gets it, by whatever way.
func answer(i int, flags ...string) frame {
	return computed(func(x *scene) []byte { return plainReply(i, flags...)(x).untranslated().passed().bytes() })
}

// to is the packet as backend i gets it.
func (p packet) to(i int) frame { return delivered{p, p.damaged(), near(i)} }

// tooBig is the answer to a packet of the client's that is longer than mtu.
func (p packet) tooBig() frame {
	return computed(func(x *scene) []byte { return x.k.tooBig(p.bytes(x), x.by.room, x.k.vip().Addr(), x.k.client()) })
}

// computed is a frame in full.
type computed func(x *scene) []byte

func (c computed) bytes(x *scene) []byte { return c(x) }
func (c computed) text(x *scene) string  { return describe(c(x)) }

// delivered is the client's packet as the server gets it, by whatever way.
type delivered struct {
	as frame // what it was before
	damaged
	at server
}

func (d delivered) bytes(x *scene) []byte { return x.by.request(x, d.packet(x), d.at, d.bound(x)...) }

// text spares the way's work: it is shown once in the table, by shown.
func (d delivered) text(x *scene) string { return "to " + nameOf(d.at.addr) + ": " + d.as.text(x) }

// shown is a frame in full in the table, whatever it is.
func shown(f frame) frame { return computed(f.bytes) }

// damage changes a finished packet.
type damage func(x *scene, p []byte) []byte

// damaged is a packet that is not as gopacket makes it, so its checksums mean nothing.
type damaged struct {
	packet
	by []damage
}

func (p packet) damaged(by ...damage) damaged { return damaged{p, by} }

func (d damaged) bytes(x *scene) []byte { return d.packet(x).bytes(d.bound(x)...) }
func (d damaged) text(x *scene) string  { return d.packet.text(x) + " \\*" }

// to is the packet as backend i gets it: as damaged.
func (d damaged) to(i int) frame { return delivered{d, d, near(i)} }

func (d damaged) bound(x *scene) (out []func([]byte) []byte) {
	for _, f := range d.by {
		out = append(out, func(p []byte) []byte { return f(x, p) })
	}
	return out
}

// field is an offset into a frame, by family.
type field struct{ four, six int }

var (
	etherType   = field{12, 12}
	version     = field{atVersion, atVersion}
	ipLength    = field{atLength, at6Length}
	fragment4   = field{four: atFragment}
	protocol    = field{atProtocol, at6NextHeader}
	transport   = field{atPort, at6Transport}
	tcpOffset   = field{atOffset, at6Transport + 12}
	udpLength   = field{at4UDPLength, at6UDPLength}
	udpChecksum = field{at4UDPLength + 2, at6UDPLength + 2}
)

func (f field) in(k kind) int {
	if k.six {
		return f.six
	}
	return f.four
}

func put8(f field, v byte) damage {
	return func(x *scene, p []byte) []byte { p[f.in(x.k)] = v; return p }
}

func put16(f field, v uint16) damage {
	return func(x *scene, p []byte) []byte { binary.BigEndian.PutUint16(p[f.in(x.k):], v); return p }
}

// behind puts n bytes behind the packet.
func behind(n int) damage {
	return func(_ *scene, p []byte) []byte { return append(p, make([]byte, n)...) }
}

// cutIn ends the frame so many bytes behind the field's begin.
func cutIn(f field, n int) damage {
	return func(x *scene, p []byte) []byte { return p[:f.in(x.k)+n] }
}

// says makes the IP header tell of so many bytes behind it.
func says(bytes func(x *scene, p []byte) int) damage {
	return func(x *scene, p []byte) []byte {
		n := bytes(x, p)
		if !x.k.six {
			n += 20
		}
		return put16(ipLength, uint16(n))(x, p)
	}
}

// beyond is one byte more than the frame has.
func beyond(x *scene, p []byte) int { return len(p) - transport.in(x.k) + 1 }

// short1 is one byte less than the header of TCP or UDP.
func short1(x *scene, _ []byte) int {
	if x.k.proto == lb.UDP {
		return 7
	}
	return 19
}

// extension puts an IPv6 extension header of 8 bytes before TCP or UDP.
func extension(number byte, rest ...byte) damage {
	return func(_ *scene, p []byte) []byte { return extended(number, rest...)(p) }
}

func toService(port uint16) func(*scene, *segment) {
	return func(_ *scene, s *segment) { s.tcp.DstPort, s.udp.DstPort = layers.TCPPort(port), layers.UDPPort(port) }
}

// message is an ICMP message.
type message func(x *scene) icmp

func (m message) bytes(x *scene) []byte { return m(x).bytes() }
func (m message) text(x *scene) string  { return describe(m.bytes(x)) }

func (m message) with(change func(x *scene, m *icmp)) message {
	return func(x *scene) icmp {
		out := m(x)
		change(x, &out)
		return out
	}
}

// The cells of a table.
func tcp(_ forwarding, k kind) bool       { return k.proto == lb.TCP }
func udp(_ forwarding, k kind) bool       { return k.proto == lb.UDP }
func four(_ forwarding, k kind) bool      { return !k.six }
func six(_ forwarding, k kind) bool       { return k.six }
func natted(by forwarding, _ kind) bool   { return by.replies }
func clashing(by forwarding, _ kind) bool { return by.name == "nat" } // servers see the client's own port
func local(by forwarding, _ kind) bool    { return by.name == "fullnat" }

func (c cells) not() cells { return func(by forwarding, k kind) bool { return !c(by, k) } }

func both(all ...cells) cells {
	return func(by forwarding, k kind) bool {
		return !slices.ContainsFunc(all, func(c cells) bool { return !c(by, k) })
	}
}

// What a service may be.
var (
	alone   = goesAway(2)
	drops   = lost(lb.LostDrops)
	expires = lost(lb.LostExpires)
	resets  = lost(lb.LostResets)
)

func lost(how lb.Lost) event {
	return changes("lost: "+string(how), func(v *lb.Service) { v.L4.Lost = how })
}

func goesAway(i int) event {
	return changes("no s"+string(rune('0'+i)), func(v *lb.Service) {
		v.Backends = slices.DeleteFunc(v.Backends, func(b lb.Backend) bool { return b.ID == lb.BackendID(i) })
	})
}

// fills takes all room that the flow tables have, until forget() gives it back.
var fills = happens("the flow table is full", func(x *scene) { x.full(true) })

// floods takes the right to further answers.
var floods = happens("1000 answers in this second", func(x *scene) {
	until := perCPU(x.rig)
	for i := range until {
		until[i] = 1 << 62
	}
	ok(x, x.objects.Told.Put(uint32(0), until))
})

const longIdle = 20 * time.Minute
