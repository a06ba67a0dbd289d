package ipvsadm

import (
	"fmt"
	"net/netip"
)

// conns lists connections, in the order in which they are.
func (p *printer) conns(conns []Conn) {
	const head, line = "pro expire %-11s %-18s %-18s ", "%-3s %-6s %-11s %-18s %-18s "
	engines := p.options.Has(OptPersistentConn)
	p.printf("IPVS connection entries\n"+head, "state", "source", "virtual")
	if engines {
		p.printf("%-18s %-16s %s\n", "destination", "pe name", "pe_data")
	} else {
		p.printf("destination\n")
	}
	for _, c := range conns {
		name := func(a netip.AddrPort) string { return p.names.text(a, c.Proto, p.numeric()) }
		expires := fmt.Sprintf("%02d:%02d", c.Expires/60, c.Expires%60)
		p.printf(line, c.Proto, expires, c.State, name(c.Client), name(c.Virtual))
		if engines && c.PE != "" {
			p.printf("%-16s %-18s %s\n", name(c.Dest), c.PE, c.PEData)
		} else {
			p.printf("%s\n", name(c.Dest))
		}
	}
}
