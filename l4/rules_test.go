package l4

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"lbctl/internal/lb"
)

// look is what the program does with a ruleSet: the class of the port, and then
// the longest prefix of that class.
func (s ruleSet) look(to netip.AddrPort, proto lb.Protocol) (service string, found bool) {
	runs := s.tcp
	if proto == lb.UDP {
		runs = s.udp
	}
	class := 0
	for _, r := range runs {
		if r.first <= to.Port() {
			class = r.class
		}
	}
	best := -1
	for _, e := range s.entries {
		if e.class == class && e.prefix.Contains(to.Addr()) && e.prefix.Bits() > best {
			best, service = e.prefix.Bits(), e.service
		}
	}
	return service, best >= 0
}

// expected is the rule for whose packet it is, in so many words: the longest
// prefix, and among equal ones the narrowest range.
func expected(rules []rule, to netip.AddrPort, proto lb.Protocol) (service string, found bool) {
	bits, width := -1, 0
	for _, r := range rules {
		longer := r.Prefix.Bits() > bits || r.Prefix.Bits() == bits && r.width() < width
		if r.Holds(to, proto) && longer {
			bits, width, service = r.Prefix.Bits(), r.width(), r.service
		}
	}
	return service, bits >= 0
}

// chance draws what tests need, from few values, so that much overlaps.
type chance struct{ *rand.Rand }

func (c chance) prefix(six bool) netip.Prefix {
	if six {
		bits := []int{0, 32, 48, 64, 112, 120, 127, 128}[c.IntN(8)]
		return netip.PrefixFrom(c.addr(true), bits).Masked()
	}
	bits := []int{0, 8, 16, 24, 25, 30, 31, 32}[c.IntN(8)]
	return netip.PrefixFrom(c.addr(false), bits).Masked()
}

func (c chance) addr(six bool) netip.Addr {
	if six {
		return netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 3: byte(2 + c.IntN(2)), 7: byte(c.IntN(2)), 15: byte(c.IntN(4))})
	}
	return netip.AddrFrom4([4]byte{198, byte(51 + c.IntN(2)), byte(c.IntN(2)), byte(c.IntN(4))})
}

func (c chance) ports() (first, last uint16) {
	switch c.IntN(4) {
	case 0:
		return 0, 0
	case 1:
		first = uint16(78 + c.IntN(5))
		return first, first
	}
	first = uint16(1 + c.IntN(200))
	if c.IntN(8) == 0 {
		return first, 65535
	}
	return first, first + uint16(c.IntN(200))
}

func (c chance) proto() lb.Protocol { return []lb.Protocol{lb.TCP, lb.UDP}[c.IntN(2)] }

// destination draws one near the edges of what ports and addr draw.
func (c chance) destination(six bool) netip.AddrPort {
	port := uint16(c.IntN(420))
	if c.IntN(6) == 0 {
		port = []uint16{0, 1, 63, 64, 65535, 65534, 1024}[c.IntN(7)]
	}
	return netip.AddrPortFrom(c.addr(six), port)
}

// rules draws as many as n of which no two clash.
func (c chance) rules(n int, six bool) (out []rule) {
	for range n {
		r := rule{service: string(rune('a' + c.IntN(20)))}
		r.Prefix, r.Proto = c.prefix(six), c.proto()
		r.First, r.Last = c.ports()
		clash := false
		for _, o := range out {
			clash = clash || r.Clashes(o.Match)
		}
		if !clash {
			out = append(out, r)
		}
	}
	return out
}

// The classes of ports with their prefixes say what the rules say, for
// thousands of random sets, whatever the order the rules come in.
func TestClassesOfPortsMeanWhatTheRulesSay(t *testing.T) {
	for seed := range uint64(2000) {
		c := chance{rand.New(rand.NewPCG(seed, 1))}
		six := seed%2 == 1
		rules := c.rules(c.IntN(30), six)
		set := compile(rules, nil)
		for range 60 {
			to, proto := c.destination(six), c.proto()
			got, found := set.look(to, proto)
			want, there := expected(rules, to, proto)
			if got != want || found != there {
				t.Fatalf("seed %d: %s/%s is %q's (%t), want %q's (%t); rules %v", seed, to, proto, got, found, want, there, rules)
			}
		}
		c.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
		if !set.equal(compile(rules, nil)) {
			t.Fatalf("seed %d: the order of rules makes a difference", seed)
		}
	}
}

// Two ports are of one class iff the same rules win there.
func TestClassesOfPortsAreTheFewest(t *testing.T) {
	rules := []rule{
		{lb.Match{Prefix: netip.MustParsePrefix("198.51.0.0/24"), First: 100, Last: 199, Proto: lb.TCP}, "a"},
		{lb.Match{Prefix: netip.MustParsePrefix("198.51.0.0/24"), First: 120, Last: 130, Proto: lb.TCP}, "b"},
		{lb.Match{Prefix: netip.MustParsePrefix("198.52.0.0/24"), First: 300, Last: 400, Proto: lb.UDP}, "c"},
	}
	set := compile(rules, nil)
	if set.classes != 3 || len(set.entries) != 3 {
		t.Errorf("%d classes with %d entries, want 3 with 3: %+v", set.classes, len(set.entries), set)
	}
	if len(set.tcp) != 5 || len(set.udp) != 3 {
		t.Errorf("runs %v and %v, want 5 and 3", set.tcp, set.udp)
	}
}

// An address of the balancer's own within a prefix is nobody's, unless a rule
// is for just that address.
func TestOwnAddressWithinAPrefixIsNobodys(t *testing.T) {
	rules := []rule{
		{lb.Match{Prefix: netip.MustParsePrefix("198.51.0.0/24"), First: 80, Last: 80, Proto: lb.TCP}, "cache"},
		{lb.Match{Prefix: netip.MustParsePrefix("198.51.0.2/32"), Proto: lb.TCP}, "any"},
	}
	set := compile(rules, []netip.Addr{netip.MustParseAddr("198.51.0.1"), netip.MustParseAddr("198.51.0.2"), netip.MustParseAddr("198.51.1.1")})
	for to, want := range map[string]string{"198.51.0.1:80": "", "198.51.0.2:80": "any", "198.51.0.3:80": "cache"} {
		if got, found := set.look(netip.MustParseAddrPort(to), lb.TCP); got != want || !found {
			t.Errorf("%s is %q's (%t), want %q's", to, got, found, want)
		}
	}
	if _, found := set.look(netip.MustParseAddrPort("198.51.1.1:80"), lb.TCP); found {
		t.Error("an own address outside of all prefixes has an entry")
	}
}

// FuzzClasses draws rules from bytes, as hostile as they come.
func FuzzClasses(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 255, 255, 0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var rules []rule
		var ports []uint16
		for ; len(data) >= 6 && len(rules) < 64; data = data[6:] {
			r := rule{service: string(rune('a' + data[0]%8))}
			r.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, data[1] & 3, data[1] >> 6}), int(data[0])%33).Masked()
			r.First, r.Last = binary.BigEndian.Uint16(data[2:]), binary.BigEndian.Uint16(data[4:])
			r.Proto = []lb.Protocol{lb.TCP, lb.UDP}[data[1]>>5&1]
			if validateMatches([]lb.Match{r.Match}) != nil {
				continue
			}
			clash := false
			for _, o := range rules {
				clash = clash || r.Clashes(o.Match)
			}
			if !clash {
				rules = append(rules, r)
				ports = append(ports, r.First, r.Last, r.First-1, r.Last+1)
			}
		}
		set := compile(rules, nil)
		for _, port := range append(ports, 0, 65535) {
			for _, host := range []byte{0, 1, 2, 3} {
				to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, host, host}), port)
				for _, proto := range []lb.Protocol{lb.TCP, lb.UDP} {
					got, _ := set.look(to, proto)
					if want, _ := expected(rules, to, proto); got != want {
						t.Fatalf("%s/%s is %q's, want %q's; rules %v", to, proto, got, want, rules)
					}
				}
			}
		}
		classes := set.elements(make([]uint16, set.classes+1))
		if len(classes)*portsEach != 2*65536 {
			t.Fatalf("%d elements", len(classes))
		}
	})
}
