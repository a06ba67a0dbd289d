package ipvsadm

import (
	"fmt"
	"io"
	"strings"
)

// List prints what a List or Save command asks for.
func (t *Table) List(w io.Writer, c Command, names Names) error {
	p := printer{names: names, options: c.Options, rules: c.Op == Save}
	switch o := c.Options; {
	case o.Has(OptConnections):
		if t.Conns == nil {
			t.Conns = func(func(Conn, error) bool) {}
		}
		return p.conns(w, t.Conns)
	case o.Has(OptService):
		at := t.service(c.Service.Key)
		if at < 0 {
			return fail(exitList, "No such service")
		}
		p.title()
		p.service(t.Services[at])
	case o.Has(OptTimeout):
		p.printf("Timeout (tcp tcpfin udp): %d %d %d\n", int32(t.Timeouts.TCP), int32(t.Timeouts.TCPFin), int32(t.Timeouts.UDP))
	case o.Has(OptDaemon):
		p.daemons(t.Daemons)
	default:
		if !p.rules {
			p.printf("IP Virtual Server version 1.2.1 (size=%d)\n", t.Size)
		}
		p.title()
		for _, s := range p.sorted(t.Services) {
			p.service(s)
		}
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// printer writes as the options say. Where several ask for a form of their own
// the first of stats, rate, thresholds, persistent-conn and tun-info has it.
type printer struct {
	strings.Builder
	names   Names
	options Options
	rules   bool
}

// daemons prints each as print_daemon() does: what is 0 or absent is left out.
func (p *printer) daemons(daemons []Daemon) {
	for _, d := range daemons {
		state := "master"
		if d.Backup {
			state = "backup"
		}
		p.printf("%s sync daemon (mcast=%s, syncid=%d", state, d.Interface, d.SyncID)
		if d.MaxLen != 0 {
			p.printf(", maxlen=%d", d.MaxLen)
		}
		if d.Group != "" {
			p.printf(", group=%s", d.Group)
		}
		if d.Port != 0 {
			p.printf(", port=%d", d.Port)
		}
		if d.TTL != 0 {
			p.printf(", ttl=%d", d.TTL)
		}
		p.printf(")\n")
	}
}

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func (p *printer) sorted(services []Service) []Service {
	if p.options.Has(OptNoSort) {
		return services
	}
	return sorted(services, compareServices)
}

func (p *printer) title() {
	const local, remote = "Prot LocalAddress:Port", "  -> RemoteAddress:Port\n"
	switch o := p.options; {
	case o.Has(OptStats):
		p.printf("%-33s %8s %8s %8s %8s %8s\n"+remote, local, "Conns", "InPkts", "OutPkts", "InBytes", "OutBytes")
	case o.Has(OptRate):
		p.printf("%-33s %8s %8s %8s %8s %8s\n"+remote, local, "CPS", "InPPS", "OutPPS", "InBPS", "OutBPS")
	case o.Has(OptThresholds):
		p.printf("%-33s %-10s %-10s %-10s %-10s\n"+remote, local, "Uthreshold", "Lthreshold", "ActiveConn", "InActConn")
	case o.Has(OptPersistentConn):
		p.printf("%-33s %-9s %-11s %-10s %-10s\n"+remote, local, "Weight", "PersistConn", "ActiveConn", "InActConn")
	case p.rules:
	case o.Has(OptTunInfo):
		p.printf("%s Scheduler Flags\n%-33s Forward TunnelInfo    Weight ActiveConn InActConn\n", local, strings.TrimSuffix(remote, "\n"))
	default:
		p.printf("%s Scheduler Flags\n%-33s Forward Weight ActiveConn InActConn\n", local, strings.TrimSuffix(remote, "\n"))
	}
}

func (p *printer) service(s Service) {
	switch o := p.options; {
	case p.rules:
		p.rule(s)
		return
	case o.Has(OptStats):
		p.printf("%-33s", p.serviceName(s))
		p.numbers(s.Stats.Conns, s.Stats.InPkts, s.Stats.OutPkts, s.Stats.InBytes, s.Stats.OutBytes)
	case o.Has(OptRate):
		p.printf("%-33s", p.serviceName(s))
		p.numbers(s.Stats.CPS, s.Stats.InPPS, s.Stats.OutPPS, s.Stats.InBPS, s.Stats.OutBPS)
	default:
		p.serviceLine(s)
	}
	p.WriteByte('\n')
	for _, d := range p.dests(s) {
		p.dest(s, d)
	}
}

func (p *printer) dests(s Service) []Dest {
	if p.options.Has(OptNoSort) {
		return s.Dests
	}
	return sorted(s.Dests, compareDests)
}

// serviceName is cut where the next column begins, unless it is an IPv6 address.
func (p *printer) serviceName(s Service) string {
	if s.Mark != 0 {
		name := fmt.Sprintf("FWM  %d", int32(s.Mark)) // ipvsadm 1.31 prints it signed
		if s.Six {
			name += " IPv6"
		}
		return name
	}
	name := fmt.Sprintf("%-4s %s", s.Proto, p.names.text(s.address(), s.Proto, p.numeric()))
	if !s.Six {
		name = cut(name, 33)
	}
	return name
}

func (p *printer) numeric() bool { return p.options.Has(OptNumeric) }

func (p *printer) serviceLine(s Service) {
	p.printf("%s %s", p.serviceName(s), s.Scheduler)
	if s.Flags&schedFlags != 0 {
		p.printf(" (%s)", s.schedFlags())
	}
	if s.Flags&Persistent != 0 {
		p.printf(" persistent %d", s.Timeout)
		if mask := s.mask(); mask != "" {
			p.printf(" mask %s", mask)
		}
		if s.PE != "" {
			p.printf(" pe %s", s.PE)
		}
	}
	if s.Flags&OnePacket != 0 {
		p.printf(" ops")
	}
}

func (p *printer) dest(s Service, d Dest) {
	name := p.names.text(d.Addr, s.protocol(), p.numeric())
	if d.Addr.Addr().Is4() {
		name = cut(name, 28)
	}
	p.printf("  -> %-28s", name)
	switch o := p.options; {
	case o.Has(OptStats):
		p.numbers(d.Stats.Conns, d.Stats.InPkts, d.Stats.OutPkts, d.Stats.InBytes, d.Stats.OutBytes)
		p.WriteByte('\n')
	case o.Has(OptRate):
		p.printf(" %8d %8d %8d", d.Stats.CPS, d.Stats.InPPS, d.Stats.OutPPS)
		p.numbers(d.Stats.InBPS, d.Stats.OutBPS)
		p.WriteByte('\n')
	case o.Has(OptThresholds):
		p.printf(" %-10d %-10d %-10d %-10d\n", d.Upper, d.Lower, d.Active, d.Inactive)
	case o.Has(OptPersistentConn):
		p.printf(" %-9d %-11d %-10d %-10d\n", d.Weight, d.Persistent, d.Active, d.Inactive)
	case o.Has(OptTunInfo):
		p.printf(" %-7s %-13s %-6d %-10d %-10d\n", d.Forward, d.tunnelInfo(), d.Weight, d.Active, d.Inactive)
	default:
		p.printf(" %-7s %-6d %-10d %-10d\n", d.Forward, d.Weight, d.Active, d.Inactive)
	}
}

func (d Dest) tunnelInfo() string {
	if d.Forward != Tunnel {
		return "n/a"
	}
	switch d.Tunnel {
	case GUE:
		return cut(fmt.Sprintf("%s:%d:%s", d.Tunnel, d.TunnelPort, d.Checksum.short()), 15)
	case GRE:
		return d.Tunnel.String() + ":" + d.Checksum.short()
	}
	return d.Tunnel.String()
}

// numbers prints each in nine columns; large ones in thousands, millions,
// billions or trillions, unless they shall be exact.
func (p *printer) numbers(values ...uint64) {
	for _, n := range values {
		switch {
		case p.options.Has(OptExact):
			p.printf(" %8d", n)
		case n < 100e6:
			p.printf("%9d", n)
		case n < 1e9:
			p.printf("%8dK", n/1e3)
		case n < 100e9:
			p.printf("%8dM", n/1e6)
		case n < 100e12:
			p.printf("%8dG", n/1e9)
		default:
			p.printf("%8dT", n/1e12)
		}
	}
}
