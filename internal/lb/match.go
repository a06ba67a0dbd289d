package lb

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Match is a set of destinations: a prefix of addresses and a range of ports.
// A VIP is a Match of one address and one port; port 0 to 0 is any port.
//
// Where several hold a packet, the longest prefix has it, and among equal ones
// the narrower range. So one service may be an exception within another.
type Match struct {
	Prefix netip.Prefix `json:"prefix"`
	First  uint16       `json:"first"`
	Last   uint16       `json:"last"` // inclusive
	Proto  Protocol     `json:"proto"`
}

// Match is the set that has this VIP in it; of one port, or of all if its port is 0.
func (v VIP) Match() Match {
	addr := v.Addr.Addr().Unmap()
	return Match{Prefix: netip.PrefixFrom(addr, addr.BitLen()), First: v.Addr.Port(), Last: v.Addr.Port(), Proto: v.Proto}
}

// Ports are the first and the last port.
func (m Match) Ports() (first, last uint16) {
	if m.First == 0 && m.Last == 0 {
		return 0, 65535
	}
	return m.First, m.Last
}

// OnePort reports whether it is of a single port.
func (m Match) OnePort() bool { return m.First == m.Last && m.First != 0 }

// Holds reports whether a destination is in the set.
func (m Match) Holds(to netip.AddrPort, proto Protocol) bool {
	first, last := m.Ports()
	return m.Proto == proto && m.Prefix.Contains(to.Addr().Unmap()) && first <= to.Port() && to.Port() <= last
}

// Clashes reports whether neither of two sets comes first for what is in both:
// their prefixes are the same, their ranges overlap, and neither range is
// within the other.
func (m Match) Clashes(o Match) bool {
	if m.Prefix != o.Prefix || m.Proto != o.Proto {
		return false
	}
	first, last := m.Ports()
	first2, last2 := o.Ports()
	switch {
	case last < first2 || last2 < first:
		return false
	case first == first2 && last == last2:
		return true
	}
	within := first <= first2 && last2 <= last || first2 <= first && last <= last2
	return !within
}

// String returns "198.18.3.1:80/tcp", "198.18.3.0/24:any/udp", "[2001:2::/64]:8000-8099/tcp".
func (m Match) String() string {
	addr := m.Prefix.String()
	if m.Prefix.IsSingleIP() {
		addr = m.Prefix.Addr().String()
	}
	if m.Prefix.Addr().Is6() {
		addr = "[" + addr + "]"
	}
	ports := "any"
	if m.First != 0 || m.Last != 0 {
		ports = strconv.Itoa(int(m.First))
	}
	if m.First != m.Last {
		ports += "-" + strconv.Itoa(int(m.Last))
	}
	return addr + ":" + ports + "/" + string(m.Proto)
}

// Matches are all that clients may address: the VIP, if there is one, and what L4.Also adds.
func (s Service) Matches() []Match {
	var all []Match
	if s.VIP.Addr.IsValid() {
		all = append(all, s.VIP.Match())
	}
	return append(all, s.L4.Also...)
}

// Six reports whether clients address the service by IPv6.
func (s Service) Six() bool {
	all := s.Matches()
	return len(all) > 0 && all[0].Prefix.Addr().Is6()
}

// Port is the one port that clients may address, false if there are several.
func (s Service) Port() (uint16, bool) {
	all := s.Matches()
	for _, m := range all {
		if !m.OnePort() || m.First != all[0].First {
			return 0, false
		}
	}
	return s.Target().Port(), len(all) > 0
}

// Target is a destination that the service has: its VIP, or else the first
// host of a prefix, the first port of a range, and port 80 if it has any.
func (s Service) Target() netip.AddrPort {
	all := s.Matches()
	if len(all) == 0 {
		return netip.AddrPort{}
	}
	addr, port := all[0].Prefix.Addr(), all[0].First
	if !all[0].Prefix.IsSingleIP() {
		addr = addr.Next()
	}
	if port == 0 {
		port = 80
	}
	return netip.AddrPortFrom(addr, port)
}

// Address is what a person reads of Matches: the first, and how many more there are.
func (s Service) Address() string {
	all := s.Matches()
	switch len(all) {
	case 0:
		return "no address"
	case 1:
		return all[0].String()
	}
	return fmt.Sprintf("%s +%d", all[0], len(all)-1)
}

// Clash is a pair of Matches of two services neither of which comes first.
type Clash struct {
	Service, Other string
	Match, With    Match // of Service, of Other
}

// String returns the clash without Service's name: "198.18.3.1:80/tcp is service "b"'s already".
func (c Clash) String() string {
	if c.Match == c.With {
		return fmt.Sprintf("%s is service %q's already", c.Match, c.Other)
	}
	return fmt.Sprintf("%s overlaps %s of service %q, and neither is within the other", c.Match, c.With, c.Other)
}

// Clashes finds all, each once, by the later of its services.
func Clashes(services []Service) []Clash {
	type key struct {
		prefix netip.Prefix
		proto  Protocol
	}
	type owned struct {
		Match
		service int
	}
	var out []Clash
	seen := map[key][]owned{}
	for i, s := range services {
		for _, m := range s.Matches() {
			k := key{m.Prefix, m.Proto}
			for _, o := range seen[k] {
				if o.service != i && m.Clashes(o.Match) {
					out = append(out, Clash{Service: s.Name, Other: services[o.service].Name, Match: m, With: o.Match})
				}
			}
			seen[k] = append(seen[k], owned{m, i})
		}
	}
	return out
}
