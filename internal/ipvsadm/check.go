package ipvsadm

import "net/netip"

// check looks at the command line as a whole.
func (p *parser) check() error {
	c := &p.cmd
	if err := legal[c.Op].check(c.Options, allOptions, "'"+opNames[c.Op]+"' command"); err != nil {
		return err
	}
	switch c.Op {
	case Add, Edit:
		return c.checkService()
	case AddDest, EditDest:
		return c.checkDest()
	case StartDaemon:
		if c.Daemon.Interface == "" {
			c.Daemon.Interface = "eth0"
		}
	case List:
		return c.checkList()
	}
	return nil
}

func (c *Command) checkService() error {
	svc := &c.Service
	switch {
	case svc.Mark == 0 && svc.Port == 0 && svc.Flags&Persistent == 0:
		return fail(exitUsage, "Zero port specified for non-persistent service")
	case svc.Mark == 0 && svc.Proto != UDP && svc.Flags&OnePacket != 0:
		return fail(exitUsage, "One-Packet Scheduling is only for UDP virtual services")
	}
	if svc.Scheduler == "" {
		svc.Scheduler = DefaultScheduler
	}
	return nil
}

func (c *Command) checkDest() error {
	svc, dest := &c.Service, &c.Dest
	if svc.Mark == 0 && dest.Forward != Masq && dest.Forward != FullNAT {
		dest.Addr = netip.AddrPortFrom(dest.Addr.Addr(), svc.Port)
	}
	switch tunnel := c.Options.Has(OptTunType, OptTunPort, OptTunNoCsum, OptTunCsum, OptTunRemCsum); {
	case dest.Forward != Tunnel && dest.Addr.Addr().Is4() == svc.Six:
		return fail(exitUsage, "Different address family is allowed only for tunneling servers")
	case dest.Forward != Tunnel && tunnel:
		return fail(exitUsage, "Tunnel options conflict with forward method")
	}
	return legalTunnel[dest.Tunnel].check(c.Options, tunnelOptions, "'"+dest.Tunnel.String()+"' tunnel type")
}

func (c *Command) checkList() error {
	o := c.Options
	if o.Has(OptConnections, OptTimeout, OptDaemon) && o.Has(OptStats, OptRate, OptThresholds) ||
		o.Has(OptTimeout, OptDaemon) && o.Has(OptPersistentConn) {
		return fail(exitUsage, "options conflicts in the list command")
	}
	return nil
}
