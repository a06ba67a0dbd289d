package ipvsadm

import "net/netip"

func (p *parser) dest(f found) (mine bool, err error) {
	dest := &p.cmd.Dest
	switch f.tag {
	case 'r':
		if err := p.note(OptServer); err != nil {
			return true, err
		}
		a := p.address(f.argument, p.protocol())
		if !a.ok {
			return true, fail(exitUsage, "illegal real server address[:port] specified")
		}
		if !a.hasPort {
			a.port = p.cmd.Service.Port
		}
		dest.Addr = netip.AddrPortFrom(a.addr, a.port)
		return true, nil
	case 'i', 'g', 'm':
		dest.Forward = map[tag]Forward{'i': Tunnel, 'g': Route, 'm': Masq}[f.tag]
		return p.noted(OptForward, nil)
	case 'b': // of the FULLNAT patches; with an argument it is a service's
		if p.words.servers && !f.given {
			dest.Forward = FullNAT
			return p.noted(OptForward, nil)
		}
	case 'w':
		return p.count(OptWeight, f.argument, &dest.Weight, "illegal weight specified")
	case 'x':
		return p.count(OptUpper, f.argument, &dest.Upper, "illegal u_threshold specified")
	case 'y':
		return p.count(OptLower, f.argument, &dest.Lower, "illegal l_threshold specified")
	}
	return false, nil
}

// protocol is the one by which port names are looked up.
func (p *parser) protocol() Proto {
	if p.cmd.Service.Mark != 0 {
		return TCP
	}
	return p.cmd.Service.Proto
}

func (p *parser) count(o Option, text string, into *uint32, fault string) (mine bool, err error) {
	if err := p.note(o); err != nil {
		return true, err
	}
	n, ok := number(text, 0, maxInt)
	if !ok {
		return true, fail(exitUsage, "%s", fault)
	}
	*into = uint32(n)
	return true, nil
}

func (p *parser) tunnel(f found) (mine bool, err error) {
	dest := &p.cmd.Dest
	switch f.tag {
	case tagTunType:
		for i, name := range tunnelNames {
			if f.argument == name {
				dest.Tunnel = TunnelType(i)
				return p.noted(OptTunType, nil)
			}
		}
		return p.noted(OptTunType, fail(exitUsage, "illegal tunnel type specified"))
	case tagTunPort:
		n, ok := number(f.argument, 1, 65535)
		if !ok {
			return p.noted(OptTunPort, fail(exitUsage, "illegal tunnel port specified"))
		}
		dest.TunnelPort = uint16(n)
		return p.noted(OptTunPort, nil)
	case tagTunNoCsum:
		return p.noted(OptTunNoCsum, nil)
	case tagTunCsum:
		dest.Checksum = OuterChecksum
		return p.noted(OptTunCsum, nil)
	case tagTunRemCsum:
		dest.Checksum = RemoteChecksum
		return p.noted(OptTunRemCsum, nil)
	}
	return false, nil
}
