package l4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"lbctl/internal/lb"
)

var streams = []kind{{false, lb.TCP}, {true, lb.TCP}}

// defended has a service of each family under NAT, with these options.
func defended(o lb.L4Options, backends ...lb.Backend) lb.Snapshot {
	var out lb.Snapshot
	for i, k := range streams {
		s := k.nat(backends...)
		v := s.Services[0]
		v.Name, v.L4 = []string{"four", "six"}[i], o
		for j := range v.Backends {
			v.Backends[j].ID += lb.BackendID(100 * i)
		}
		out.Revision, out.Services = s.Revision, append(out.Services, v)
	}
	return out
}

func option(kind layers.TCPOptionKind, data ...byte) layers.TCPOption {
	return layers.TCPOption{OptionType: kind, OptionLength: uint8(len(data) + 2), OptionData: data}
}

var nop = layers.TCPOption{OptionType: layers.TCPOptionKindNop, OptionLength: 1}

func mssOption(mss uint16) layers.TCPOption {
	return option(layers.TCPOptionKindMSS, byte(mss>>8), byte(mss))
}
func scaleOption(n byte) layers.TCPOption { return option(layers.TCPOptionKindWindowScale, n) }
func maySACK() layers.TCPOption           { return option(layers.TCPOptionKindSACKPermitted) }
func timestamps() layers.TCPOption {
	return option(layers.TCPOptionKindTimestamps, 1, 2, 3, 4, 0, 0, 0, 0)
}

// linuxSYN are the options of a SYN as Linux sends it.
func linuxSYN(mss uint16, scale byte) []layers.TCPOption {
	return []layers.TCPOption{mssOption(mss), maySACK(), timestamps(), nop, scaleOption(scale)}
}

// agreed are the options of a SYN or SYN-ACK that the program writes.
func agreed(mss uint16, sack bool, scale int) []layers.TCPOption {
	out := []layers.TCPOption{mssOption(mss)}
	if scale >= 0 {
		out = append(out, nop, scaleOption(byte(scale)))
	} else {
		out = append(out, nop, nop, nop, nop)
	}
	if sack {
		return append(out, nop, nop, maySACK())
	}
	return append(out, nop, nop, nop, nop)
}

func (s *segment) numbered(seq, ack uint32, window uint16, options ...layers.TCPOption) *segment {
	s.tcp.Seq, s.tcp.Ack, s.tcp.Window, s.tcp.Options = seq, ack, window, options
	return s
}

// decoded is the TCP header of a frame whose checksums are right.
func decoded(t testing.TB, frame []byte) *layers.TCP {
	t.Helper()
	checkSums(t, frame)
	return gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default).Layer(layers.LayerTypeTCP).(*layers.TCP)
}

// padded is the frame as Ethernet has it at least.
func padded(frame []byte) []byte {
	if hook == lb.HookTCX && frame[12] == 8 {
		return frame[:14+int(binary.BigEndian.Uint16(frame[atLength:]))] // the driver does that; gopacket has done it here
	}
	return append(frame, make([]byte, max(60-len(frame), 0))...)
}

func (r *rig) expect(what string, in []byte, verdict string, want []byte) result {
	r.Helper()
	got := r.send(in)
	if got.verdict != verdict || want != nil && !bytes.Equal(got.out, want) {
		r.Fatalf("%s: action %d, %s, want %s\n got %x\nwant %x", what, got.action, got.verdict, verdict, got.out, want)
	}
	return got
}

// challenge sends a SYN and returns the number of the SYN-ACK.
func (r *rig) challenge(t testing.TB, syn *segment) uint32 {
	t.Helper()
	got := r.send(syn.bytes())
	if got.verdict != "COOKIE_SENT" || got.action != xdpTx {
		t.Fatalf("a SYN: action %d, %s", got.action, got.verdict)
	}
	return decoded(t, got.out).Seq
}

// synAck is the program's answer to a SYN, as the client gets it.
func (k kind) synAck(port int, seq, ack uint32, options ...layers.TCPOption) *segment {
	s := k.from(port, "SYN", "ACK").source(k.vip().Addr()).target(k.client()).via(portMAC, clientMAC).ttl(64)
	s.tcp.SrcPort, s.tcp.DstPort = layers.TCPPort(vip.Port()), layers.TCPPort(port)
	s.ip.Flags = layers.IPv4DontFragment
	return s.numbered(seq, ack, 0, options...)
}

// A connection from the SYN to both FINs, byte for byte: the backend and the client
// each see what their own peer would have sent.
func TestCookieConnection(t *testing.T) {
	for _, forward := range []lb.Forward{lb.NAT, lb.FullNAT} {
		t.Run(string(forward), func(t *testing.T) { connectByCookie(t, forward) })
	}
}

func connectByCookie(t *testing.T, forward lb.Forward) {
	const isn, theirs, told = 0xfffffff0, 0x1234, 7
	r := newRig(t)
	r.cuts = true
	s := defended(lb.L4Options{SYNCookies: lb.SYNCookiesAlways, TOA: forward == lb.FullNAT}, backend(1))
	for i := range s.Services {
		s.Services[i].Forward = forward
	}
	r.apply(s)
	for _, k := range streams {
		x := spliced{kind: k, rig: r, full: forward == lb.FullNAT}
		mss := uint16(1460)
		if k.six {
			mss = 1440
		}
		state := func(when string, want xdpFlowState) {
			t.Helper()
			for port, f := range r.flows() {
				if f.state() != want {
					t.Errorf("%s, %s: the entry of port %d is in state %d, want %d", k, when, port, f.state(), want)
				}
			}
			ok(t, r.recount())
		}
		syn := k.from(1000, "SYN").numbered(isn, 0, 64240, linuxSYN(mss, 8)...)
		got := r.send(syn.bytes())
		cookie := decoded(t, got.out).Seq
		want := k.synAck(1000, cookie, isn+1, agreed(mss, true, told)...).bytes()
		if got.verdict != "COOKIE_SENT" || got.action != xdpTx || !bytes.Equal(got.out, want) {
			t.Fatalf("%s SYN: action %d, %s\n got %x\nwant %x", k, got.action, got.verdict, got.out, want)
		}
		if n := r.entries(); n != 0 {
			t.Fatalf("%s: a SYN left %d entries", k, n)
		}

		ack := k.from(1000, "ACK").numbered(isn+1, cookie+1, 502)
		x.local = k.senderOf(r.expect(k.String()+" ACK", ack.bytes(), "COOKIE_VALID", nil).out)
		wantSYN := x.told(k.from(1000, "SYN").numbered(isn, 0, 0xffff, agreed(mss, true, 8)...))
		state("after the ACK", xdpFlowStateOPENING)
		probe := k.from(1000, "ACK").numbered(isn, cookie+1, 502)
		x.expect("the ACK again", ack, "COOKIE_AGAIN", wantSYN)
		x.expect("a probe of the closed window", probe, "COOKIE_AGAIN", wantSYN)
		r.expect(k.String()+" another ACK", k.from(1000, "ACK").numbered(isn+5, cookie+1, 502).bytes(), "COOKIE_WRONG", nil)

		question := x.reply("ACK").numbered(cookie, isn+1, 65160>>9<<2)
		question.payload = []byte{0}
		answer := x.reply("SYN", "ACK").numbered(theirs, isn+1, 65160, agreed(mss, true, 9)...).bytes()
		for range 2 {
			r.expect(k.String()+" SYN-ACK", answer, "REPLY", padded(x.back(question)))
			state("after the SYN-ACK", xdpFlowStateOPENING)
			question = x.reply("ACK").numbered(cookie, isn+1, 65160>>9<<2)
			question.payload = []byte{0}
		}

		answered := k.from(1000, "ACK").numbered(isn+1, cookie+1, 502, nop, nop, option(layers.TCPOptionKindSACK,
			binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, cookie), cookie+1)...))
		there := k.from(1000, "ACK").numbered(isn+1, theirs+1, 502, nop, nop, option(layers.TCPOptionKindSACK,
			binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, theirs), theirs+1)...))
		x.expect("the client's answer", answered, "KNOWN_FLOW", x.told(there))
		state("established", xdpFlowStateESTABLISHED)

		for n := range uint32(200) {
			data := k.from(1000, "ACK", "PSH").numbered(isn+1+n*7919, cookie+1+n*104729, uint16(n*331))
			data.payload = bytes.Repeat([]byte{byte(n)}, int(n))
			out := k.from(1000, "ACK", "PSH").numbered(isn+1+n*7919, theirs+1+n*104729, uint16(n*331))
			out.payload = data.payload
			want := x.to(out)
			if n == 0 { // the server has said no more than SYN
				want = x.told(out)
			}
			x.expect("data", data, "KNOWN_FLOW", want)
			back := x.reply("ACK").numbered(theirs+1+n*65537, isn+1+n, uint16(n*331))
			back.payload = data.payload
			out = x.reply("ACK").numbered(cookie+1+n*65537, isn+1+n, uint16(min(n*331&0xffff<<2, 0xffff)))
			out.payload = data.payload
			r.expect(k.String()+" data back", back.bytes(), "REPLY", x.back(out))
		}
		// Four blocks, at an odd place, too.
		for _, pad := range [][]layers.TCPOption{{nop, nop}, {nop}} {
			blocks := func(from uint32) []byte {
				var out []byte
				for i := range uint32(8 - 2*len(pad)%2*2) {
					out = binary.BigEndian.AppendUint32(out, from+i*0x3fffffff)
				}
				return out
			}
			sack := func(from uint32) []layers.TCPOption {
				return append(append([]layers.TCPOption{}, pad...), option(layers.TCPOptionKindSACK, blocks(from)...))
			}
			in := k.from(1000, "ACK").numbered(isn+1, cookie+1, 502, sack(cookie)...)
			out := k.from(1000, "ACK").numbered(isn+1, theirs+1, 502, sack(theirs)...)
			r.expect(fmt.Sprint(k, " SACK behind ", len(pad)), in.bytes(), "KNOWN_FLOW", x.to(out))
		}
		r.expect(k.String()+" FIN", k.from(1000, "FIN", "ACK").numbered(isn+1, cookie+1, 1).bytes(), "KNOWN_FLOW",
			x.to(k.from(1000, "FIN", "ACK").numbered(isn+1, theirs+1, 1)))
		r.expect(k.String()+" FIN back", x.reply("FIN", "ACK").numbered(theirs+1, isn+2, 1).bytes(), "REPLY",
			x.back(x.reply("FIN", "ACK").numbered(cookie+1, isn+2, 4)))
		ok(t, r.recount())

		// The same port again, at once: the flow that is over makes way.
		again := k.from(1000, "SYN").numbered(77, 0, 64240, mssOption(600), nop, nop, maySACK())
		cookie = r.challenge(t, again)
		r.expect(k.String()+" an ACK of the old one", k.from(1000, "ACK").numbered(isn+2, 99, 1).bytes(), "KNOWN_FLOW", nil)
		x.expect("the ACK of the new one", k.from(1000, "ACK").numbered(78, cookie+1, 502), "COOKIE_VALID",
			x.told(k.from(1000, "SYN").numbered(77, 0, 502, agreed(map[bool]uint16{false: 536, true: 1220}[k.six], false, -1)...)))
		// The backend refuses: the client's RST has the number that it waits for.
		r.expect(k.String()+" RST", x.reply("RST", "ACK").numbered(0, 78, 0).bytes(), "REPLY",
			x.back(x.reply("RST", "ACK").numbered(cookie+1, 78, 0)))
		state("after the RST", xdpFlowStateCLOSED)
		ok(t, r.recount())
		r.age(DefaultTimeouts.TCP)
		r.sweep()
	}
	if c := r.service("four").Counters; c.Connections != 2 {
		t.Errorf("%d connections, want 2", c.Connections)
	}
}

// What is told to client and backend, by what the client offers.
func TestCookieOptions(t *testing.T) {
	r := newRig(t)
	r.cuts = true
	r.apply(defended(lb.L4Options{SYNCookies: lb.SYNCookiesAlways}, backend(1)))
	type terms struct {
		mss   uint16
		sack  bool
		scale int
	}
	rows := []struct {
		offers []layers.TCPOption
		four   terms // told to the backend
		six    uint16
	}{
		{linuxSYN(1460, 7), terms{1460, true, 7}, 1440},
		{linuxSYN(1459, 14), terms{1440, true, 10}, 1440},
		{linuxSYN(1439, 9), terms{1300, true, 8}, 1420},
		{linuxSYN(8940, 6), terms{1460, true, 6}, 8940},
		{linuxSYN(1300, 5), terms{1300, true, 5}, 1220},
		{linuxSYN(400, 4), terms{536, true, 0}, 1220},
		{[]layers.TCPOption{mssOption(1460), nop, scaleOption(6), nop, nop, maySACK()}, terms{1460, true, 6}, 1440},
		{[]layers.TCPOption{mssOption(1460), nop, scaleOption(6), timestamps()}, terms{1460, false, -1}, 1440},
		{[]layers.TCPOption{mssOption(1460), timestamps(), maySACK()}, terms{1460, true, -1}, 1440},
		{[]layers.TCPOption{mssOption(1460)}, terms{1460, false, -1}, 1440},
		{nil, terms{536, false, -1}, 1220},
	}
	for _, k := range streams {
		for i, row := range rows {
			syn := k.from(1000+i, "SYN").numbered(7, 0, 1, row.offers...)
			in := syn.bytes()
			got := r.send(in)
			h := decoded(t, got.out)
			if len(got.out) > max(len(in), 60) || got.verdict != "COOKIE_SENT" {
				t.Errorf("%s %d: %s, %d bytes are answered by %d", k, i, got.verdict, len(in), len(got.out))
			}
			told := terms{scale: -1}
			for _, o := range h.Options {
				switch o.OptionType {
				case layers.TCPOptionKindMSS:
					told.mss = binary.BigEndian.Uint16(o.OptionData)
				case layers.TCPOptionKindWindowScale:
					told.scale = int(o.OptionData[0])
				case layers.TCPOptionKindSACKPermitted:
					told.sack = true
				}
			}
			want := row.four
			if k.six {
				want.mss = row.six
			}
			ours := terms{map[bool]uint16{false: 1460, true: 1440}[k.six], want.sack, min(want.scale, 0)}
			if want.scale >= 0 {
				ours.scale = 7
			}
			if row.offers == nil {
				ours.mss = 0
			}
			if told != ours {
				t.Errorf("%s %d: the client is told %+v, want %+v", k, i, told, ours)
			}
			r.expect(fmt.Sprint(k, i), k.from(1000+i, "ACK").numbered(8, h.Seq+1, 3).bytes(), "COOKIE_VALID",
				k.from(1000+i, "SYN").numbered(7, 0, 3<<max(want.scale, 0), agreed(want.mss, want.sack, want.scale)...).translated(1).ttl(63).bytes())
		}
	}
}

// Numbers that nobody was given, for each reason there is.
func TestWrongCookies(t *testing.T) {
	for _, mode := range []lb.SYNCookies{lb.SYNCookiesAlways, lb.SYNCookiesAuto} {
		r := newRig(t)
		r.cuts = true
		r.apply(defended(lb.L4Options{SYNCookies: mode, SYNFlood: 5}, backend(1)))
		for _, k := range streams {
			verdict := "COOKIE_WRONG"
			if mode == lb.SYNCookiesAuto {
				r.expect("an ACK while all is calm", k.from(900, "ACK").numbered(8, 9, 1).bytes(), "ADOPTED", nil)
				for port := 1; port <= 5; port++ {
					r.expect("a SYN before the flood", k.from(port, "SYN").bytes(), "NEW_FLOW", nil)
				}
			}
			cookie := r.challenge(t, k.from(1000, "SYN").numbered(7, 0, 1, linuxSYN(1460, 7)...))
			rows := map[string]*segment{
				"another number":        k.from(1000, "ACK").numbered(8, cookie+1+32, 1),
				"one less":              k.from(1000, "ACK").numbered(8, cookie-31, 1),
				"another client's port": k.from(1001, "ACK").numbered(8, cookie+1, 1),
				"the client's number":   k.from(1000, "ACK").numbered(9, cookie+1, 1),
				"another client":        k.from(1000, "ACK").numbered(8, cookie+1, 1).source(k.of(backendAddr(9))),
				"a FIN":                 k.from(1000, "ACK", "FIN").numbered(8, cookie+99, 1),
			}
			for name, s := range rows {
				r.expect(name, s.bytes(), verdict, nil)
			}
			r.expect("a RST", k.from(1001, "RST").bytes(), "STRAY_RESET", nil)
			if mode == lb.SYNCookiesAuto {
				r.age((calm + 1) * time.Second)
				r.expect("an ACK after the flood", rows["a FIN"].bytes(), "ADOPTED", nil)
				r.expect("a SYN after the flood", k.from(2000, "SYN").bytes(), "NEW_FLOW", nil)
			}
			r.expect("the right one", k.from(1000, "ACK").numbered(8, cookie+1, 1).bytes(),
				map[lb.SYNCookies]string{lb.SYNCookiesAlways: "COOKIE_VALID", lb.SYNCookiesAuto: "KNOWN_FLOW"}[mode], nil)
			ok(t, r.recount())
		}
	}
}

// calm is CALM in bpf/guard.h.
const calm = 10

// A SYN gets the same cookie until the minute is over, and that one is good for the next
// minute as well.
func TestCookieOfTheMinuteBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cuts = true
	r.apply(defended(lb.L4Options{SYNCookies: lb.SYNCookiesAlways}, backend(1)))
	cookies := map[kind]uint32{}
	syn := func(k kind) *segment { return k.from(1000, "SYN").numbered(77, 0, 64240, linuxSYN(1460, 8)...) }
	for _, k := range streams {
		cookies[k] = r.challenge(t, syn(k))
	}
	next := cookies[streams[0]]
	for begin := time.Now(); next == cookies[streams[0]]; time.Sleep(200 * time.Millisecond) {
		if time.Since(begin) > 65*time.Second {
			t.Fatal("a cookie outlives its minute")
		}
		next = r.challenge(t, syn(streams[0]))
	}
	for _, k := range streams {
		r.expect(k.String(), k.from(1000, "ACK").numbered(78, cookies[k]+1, 502).bytes(), "COOKIE_VALID", nil)
	}
}
