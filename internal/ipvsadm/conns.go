package ipvsadm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
)

// conns lists connections as they come: there may be millions of them.
func (p *printer) conns(w io.Writer, conns iter.Seq2[Conn, error]) (err error) {
	out := bufio.NewWriter(w)
	defer func() { err = errors.Join(err, out.Flush()) }()
	p.connHead()
	for c, err := range conns {
		if err != nil {
			return err
		}
		p.conn(c)
		if _, err := out.WriteString(p.String()); err != nil {
			return err
		}
		p.Reset()
	}
	_, err = out.WriteString(p.String())
	return err
}

func (p *printer) connHead() {
	p.printf("IPVS connection entries\npro expire %-11s %-18s %-18s ", "state", "source", "virtual")
	if p.options.Has(OptPersistentConn) {
		p.printf("%-18s %-16s %s\n", "destination", "pe name", "pe_data")
	} else {
		p.printf("destination\n")
	}
}

func (p *printer) conn(c Conn) {
	name := func(a netip.AddrPort) string { return p.names.text(a, c.Proto, p.numeric()) }
	proto := c.Proto.String()
	if c.Proto == NoProto {
		proto = "IP"
	}
	expires := fmt.Sprintf("%02d:%02d", c.Expires/60, c.Expires%60)
	p.printf("%-3s %-6s %-11s %-18s %-18s ", proto, expires, c.State, name(c.Client), name(c.Virtual))
	if p.options.Has(OptPersistentConn) && c.PE != "" {
		p.printf("%-16s %-18s %s\n", name(c.Dest), c.PE, c.PEData)
	} else {
		p.printf("%s\n", name(c.Dest))
	}
}
