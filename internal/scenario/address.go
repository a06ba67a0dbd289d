package scenario

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
)

// The ranges that lab addresses come from. They are reserved for benchmarks
// (RFC 2544, RFC 5180), so a lab meets nobody's network.
var (
	range4 = netip.MustParsePrefix("198.18.0.0/15")
	range6 = netip.MustParsePrefix("2001:2::/48")
)

const (
	addrPattern    = `^([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$`
	prefixPattern  = `^[0-9a-fA-F:.]+/[0-9]+$`
	noVIP          = "none"
	vipPattern     = `^(none|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(:[0-9]+)?|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*|\[[0-9a-fA-F:.]+\]:[0-9]+)$`
	notInLab       = "lab addresses come from 198.18.0.0/15 and 2001:2::/48, the ranges reserved for benchmarks (RFC 2544, RFC 5180), so that a lab meets nobody's network"
	defaultPrefix4 = "0.0.0.0/0"
)

// bracketed finds an IPv6 address in brackets with a port.
var bracketed = regexp.MustCompile(`\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\]:[0-9]+`)

var compiledForms sync.Map // pattern -> *regexp.Regexp

func compiled(pattern string) *regexp.Regexp {
	if re, ok := compiledForms.Load(pattern); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(pattern)
	compiledForms.Store(pattern, re)
	return re
}

func inLab(a netip.Addr) error {
	if !range4.Contains(a) && !range6.Contains(a) {
		return fmt.Errorf("%s is outside of the lab's ranges: %s", a, notInLab)
	}
	return nil
}

// Addr is an address of the lab.
type Addr struct{ netip.Addr }

func (a *Addr) parse(text string) error {
	v, err := netip.ParseAddr(text)
	if err != nil || v.Zone() != "" || v.Is4In6() {
		return errIllFormed
	}
	a.Addr = v
	return inLab(v)
}
func (a *Addr) want() string { return `an address such as "198.18.1.9" or "2001:2::109"` }
func (a *Addr) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": addrPattern}
}

// Prefix is a network of the lab, in CIDR notation.
type Prefix struct{ netip.Prefix }

func (p *Prefix) parse(text string) error {
	v, err := netip.ParsePrefix(text)
	if err != nil || v.Addr().Is4In6() {
		return errIllFormed
	}
	if v != v.Masked() {
		return fmt.Errorf("%s has bits set behind its length", text)
	}
	for _, r := range []netip.Prefix{range4, range6} {
		if r.Contains(v.Addr()) && v.Bits() >= r.Bits() {
			p.Prefix = v
			return nil
		}
	}
	return fmt.Errorf("%s is outside of the lab's ranges: %s", text, notInLab)
}
func (p *Prefix) want() string { return `a network such as "198.18.16.0/20" or "2001:2:0:1::/64"` }
func (p *Prefix) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": prefixPattern}
}

func (p *Prefix) suggest(text string) string {
	if v, err := netip.ParsePrefix(text); err == nil && v != v.Masked() && p.parse(v.Masked().String()) == nil {
		return v.Masked().String()
	}
	if v, err := netip.ParseAddr(text); err == nil && v.Is4() && p.parse(text+"/20") == nil {
		return text + "/20"
	}
	return ""
}

// Pool is a prefix of addresses of this machine's, outside any lab.
type Pool struct{ netip.Prefix }

func (p *Pool) parse(text string) error {
	v, err := netip.ParsePrefix(text)
	switch {
	case err != nil || v.Addr().Is4In6():
		return errIllFormed
	case v != v.Masked():
		return fmt.Errorf("%s has bits set behind its length", text)
	case v.Addr().BitLen()-v.Bits() > maxPoolBits:
		return fmt.Errorf("%s is more than %d addresses", text, 1<<maxPoolBits)
	}
	p.Prefix = v
	return nil
}
func (p *Pool) want() string { return `a prefix such as "192.0.2.16/28" or "2001:db8::/124"` }
func (p *Pool) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": prefixPattern}
}

// maxPoolBits are those that the addresses of a pool may differ in, as of l4.ValidatePool.
const maxPoolBits = 15

// Destination is where a route leads: a network, or "default".
type Destination struct{ netip.Prefix }

func (d *Destination) parse(text string) error {
	if text == "default" {
		text = defaultPrefix4
	}
	v, err := netip.ParsePrefix(text)
	if err != nil || v.Addr().Is4In6() {
		return errIllFormed
	}
	if v != v.Masked() {
		return fmt.Errorf("%s has bits set behind its length", text)
	}
	d.Prefix = v
	return nil
}
func (d *Destination) want() string { return `a network such as "198.18.16.0/20", or "default"` }
func (d *Destination) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": "^(default|" + strings.Trim(prefixPattern, "^$") + ")$"}
}
func (d *Destination) suggest(text string) string { return nearest(text, []string{"default"}) }

// Endpoint is a VIP as typed: an address, or an address and a port.
type Endpoint struct {
	Addr netip.Addr
	Port uint16 // 0: not typed
}

// isNone reports whether it was typed that there is to be no VIP.
func isNone(vip Val[Endpoint]) bool { return vip.IsSet() && !vip.Value.Addr.IsValid() }

func (e *Endpoint) parse(text string) error {
	if text == noVIP {
		*e = Endpoint{}
		return nil
	}
	if v, err := netip.ParseAddr(text); err == nil && v.Zone() == "" && !v.Is4In6() {
		e.Addr, e.Port = v, 0
		return inLab(v)
	}
	v, err := netip.ParseAddrPort(text)
	if err != nil || v.Addr().Zone() != "" || v.Addr().Is4In6() || v.Port() == 0 {
		return errIllFormed
	}
	e.Addr, e.Port = v.Addr(), v.Port()
	return inLab(e.Addr)
}

func (e *Endpoint) want() string {
	return `an address, with or without port, such as "198.18.3.9", "198.18.3.9:80" or "[2001:2::309]:80", or none`
}

func (e *Endpoint) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": vipPattern}
}
