package scenario

import (
	"fmt"
	"net/netip"
	"strconv"
)

// Interface is the name of a network interface, as the kernel allows it.
type Interface = Text[interfaceForm]

// File is an absolute path.
type File = Text[fileForm]

// Flows is how many flows are remembered.
type Flows = Int[flowBounds]

type flowBounds struct{}

func (flowBounds) bounds() (string, int64, int64) { return "a number of flows", 1 << 10, 1 << 26 }

type (
	interfaceForm struct{}
	fileForm      struct{}
)

func (interfaceForm) form() (string, string) {
	return `an interface such as "eth0"`, `^[!-.0-9;-~]{1,15}$` // dev_valid_name: no slash, colon or blank
}

func (fileForm) form() (string, string) {
	return `an absolute path such as "/run/lbctl/web"`, `^/[ -~]{0,200}$`
}

// Socket is an address and a port.
type Socket struct{ netip.AddrPort }

func (s *Socket) parse(text string) error {
	v, err := netip.ParseAddrPort(text)
	if err != nil || !plain(v.Addr()) || v.Port() == 0 {
		return errIllFormed
	}
	s.AddrPort = v
	return nil
}

func (s *Socket) want() string {
	return `an address and a port such as "192.0.2.10:80" or "[2001:db8::10]:80"`
}

func (s *Socket) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": `^([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]+$`}
}

func (s *Socket) suggest(text string) string {
	if v, err := netip.ParseAddr(text); err == nil && plain(v) {
		return netip.AddrPortFrom(v, 80).String()
	}
	return ""
}

// Target is an address, or an address and a port.
type Target struct {
	Addr netip.Addr
	Port uint16 // 0: not typed
}

func (t *Target) parse(text string) error {
	if v, err := netip.ParseAddr(text); err == nil && plain(v) {
		*t = Target{Addr: v}
		return nil
	}
	var s Socket
	err := s.parse(text)
	*t = Target{s.Addr(), s.Port()}
	return err
}

func (t *Target) want() string {
	return `an address, with or without port, such as "10.0.0.11" or "10.0.0.11:8080"`
}

func (t *Target) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": vipPattern}
}

// plain reports whether an address means the same to everybody.
func plain(a netip.Addr) bool { return a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() }

// Listen is where a server listens: a port of the loopback, or an address and a port.
type Listen struct{ netip.AddrPort }

func (l *Listen) parse(text string) error {
	if port, err := strconv.ParseUint(text, 10, 16); err == nil && port > 0 {
		l.AddrPort = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
		return nil
	}
	v, err := netip.ParseAddrPort(text)
	if err != nil || v.Addr().Zone() != "" || v.Port() == 0 {
		return errIllFormed
	}
	l.AddrPort = v
	return nil
}

func (l *Listen) want() string {
	return `a port of 127.0.0.1 such as 9090, or an address and a port such as "192.0.2.2:9090"`
}

func (l *Listen) schema() map[string]any {
	return map[string]any{
		"type": []string{"integer", "string"}, "minimum": 1, "maximum": 65535,
		"pattern": `^([0-9]+|[0-9.]+:[0-9]+|\[[0-9a-fA-F:.]+\]:[0-9]+)$`,
	}
}

func (l *Listen) suggest(text string) string {
	var port uint16
	if n, _ := fmt.Sscanf(text, "localhost:%d", &port); n == 1 && port > 0 {
		return fmt.Sprintf("127.0.0.1:%d", port)
	}
	if n, _ := fmt.Sscanf(text, ":%d", &port); n == 1 && port > 0 {
		return fmt.Sprintf("0.0.0.0:%d", port)
	}
	return ""
}
