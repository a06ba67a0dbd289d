package ipvsadm

import (
	"net/netip"
	"strings"
)

// address is host, host:port or [v6]:port. A bare IPv6 address has no port, and
// digits alone are no address.
type address struct {
	addr    netip.Addr
	port    uint16
	hasPort bool
	ok      bool
}

func (p *parser) address(text string, proto Proto) address {
	if strings.Trim(text, "0123456789") == "" {
		return address{}
	}
	host, port, hasPort := text, "", false
	if strings.HasPrefix(text, "[") {
		host, port, hasPort = strings.Cut(text[1:], "]:")
		if !hasPort || strings.Contains(host, "]") {
			return address{}
		}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Is4() || addr.Zone() != "" {
		// Brackets around anything else hide the port behind them.
		port, hasPort = "", false
		if i := strings.LastIndexByte(host, ':'); i >= 0 {
			host, port, hasPort = host[:i], host[i+1:], true
		}
		var ok bool
		if addr, ok = dotted(host); !ok {
			if addr, ok = p.names.host(host); !ok {
				return address{}
			}
		}
	}
	a := address{addr: addr, hasPort: hasPort, ok: true}
	if !hasPort {
		return a
	}
	if n, isNumber := number(port, 0, 65535); isNumber {
		a.port = uint16(n)
	} else {
		a.port, a.ok = p.names.port(port, proto)
	}
	return a
}
