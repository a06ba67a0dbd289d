package l4

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/internal/lb"
)

// rule is a Match that is not one address and one port, and whose it is.
type rule struct {
	lb.Match
	service string
}

// A ruleSet says what rules mean, as the maps do: for each port its class, and
// for each class and prefix the service. Equal rules make an equal ruleSet.
type ruleSet struct {
	tcp, udp []run
	classes  int     // they count from 1; 0 is the class of ports that no rule has
	entries  []entry // of all classes
}

// run is a class of ports, from the first up to where the next run begins.
type run struct {
	first uint16
	class int
}

// entry says whose a prefix is, for ports of the class; the longest prefix wins.
type entry struct {
	class   int
	prefix  netip.Prefix
	service string // empty: nobody's
}

// compile parts the ports into the fewest classes. Of each prefix the narrowest
// rule counts. Addresses in except are nobody's, unless a rule is for just that one.
func compile(rules []rule, except []netip.Addr) ruleSet {
	rules = slices.Clone(rules)
	slices.SortFunc(rules, func(a, b rule) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()),
			cmp.Compare(a.width(), b.width()), cmp.Compare(a.First, b.First), cmp.Compare(a.service, b.service))
	})
	var set ruleSet
	known := map[string]int{"": 0}
	set.tcp = set.part(lb.TCP, rules, except, known)
	set.udp = set.part(lb.UDP, rules, except, known)
	return set
}

func (r rule) width() int {
	first, last := r.Ports()
	return int(last) - int(first)
}

// part returns the runs of one protocol's ports. known finds a class by the
// rules that win in it.
func (s *ruleSet) part(proto lb.Protocol, rules []rule, except []netip.Addr, known map[string]int) []run {
	var runs []run
	for _, port := range borders(proto, rules) {
		var winners []byte
		var last *rule
		for i := range rules {
			r := &rules[i]
			first, end := r.Ports()
			if r.Proto != proto || port < first || port > end || last != nil && last.Prefix == r.Prefix {
				continue
			}
			last = r
			winners = binary.NativeEndian.AppendUint32(winners, uint32(i))
		}
		class, ok := known[string(winners)]
		if !ok {
			s.classes++
			class = s.classes
			known[string(winners)] = class
			s.add(class, rules, winners, except)
		}
		if len(runs) == 0 || runs[len(runs)-1].class != class {
			runs = append(runs, run{port, class})
		}
	}
	return runs
}

// borders are the ports at which another set of rules may begin, in order.
func borders(proto lb.Protocol, rules []rule) []uint16 {
	out := []uint16{0}
	for _, r := range rules {
		if r.Proto != proto {
			continue
		}
		first, last := r.Ports()
		out = append(out, first)
		if last < 65535 {
			out = append(out, last+1)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// add lists the prefixes of a new class.
func (s *ruleSet) add(class int, rules []rule, winners []byte, except []netip.Addr) {
	own := map[netip.Prefix]bool{}
	var prefixes []netip.Prefix
	for len(winners) > 0 {
		r := rules[binary.NativeEndian.Uint32(winners)]
		winners = winners[4:]
		own[r.Prefix] = true
		prefixes = append(prefixes, r.Prefix)
		s.entries = append(s.entries, entry{class, r.Prefix, r.service})
	}
	for _, a := range except {
		host := netip.PrefixFrom(a, a.BitLen())
		if !own[host] && slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
			s.entries = append(s.entries, entry{class, host, ""})
		}
	}
}

func (s ruleSet) equal(o ruleSet) bool {
	return slices.Equal(s.tcp, o.tcp) && slices.Equal(s.udp, o.udp) && slices.Equal(s.entries, o.entries)
}

// check refuses what the maps have no room for while an older set is in them.
func (s ruleSet) check() error {
	if len(s.entries) > maxEntries {
		return fmt.Errorf("prefixes and ranges of ports make %d pairs of a prefix and a class of ports: want at most %d; fewer different ranges make fewer classes", len(s.entries), maxEntries)
	}
	return nil
}

// maxEntries leaves room for as many of the set before, and for the prefixes alone.
const maxEntries = 65536 / 4

// elements are the elements of the map of classes, with the IDs that classes have there.
func (s ruleSet) elements(ids []uint16) [][portsEach]uint16 {
	out := make([][portsEach]uint16, 2*65536/portsEach)
	for i, runs := range [][]run{s.tcp, s.udp} {
		for j, r := range runs {
			end := 65536
			if j+1 < len(runs) {
				end = int(runs[j+1].first)
			}
			for port := int(r.first); r.class > 0 && port < end; port++ {
				at := i*65536 + port
				out[at/portsEach][at%portsEach] = ids[r.class]
			}
		}
	}
	return out
}

// portsEach is how many ports one element tells of: PORTS in bpf/maps.h.
const portsEach = 64
