package ipvsadm

import "strings"

func (p *parser) service(f found) (mine bool, err error) {
	svc := &p.cmd.Service
	if o, ok := map[tag]Option{
		't': OptService, 'u': OptService, tagSCTP: OptService, 'f': OptService, 's': OptScheduler,
		'p': OptPersistent, 'M': OptNetmask, 'o': OptOnePacket, tagPE: OptPE, 'b': OptSchedFlags,
	}[f.tag]; !ok {
		return false, nil
	} else if err := p.note(o); err != nil {
		return true, err
	}
	switch f.tag {
	case 't', 'u', tagSCTP:
		svc.Proto = map[tag]Proto{'t': TCP, 'u': UDP, tagSCTP: SCTP}[f.tag]
		a := p.address(f.argument, svc.Proto)
		if !a.ok {
			return true, fail(exitUsage, "illegal virtual server address[:port] specified")
		}
		svc.Addr, svc.Port, svc.Six = a.addr, a.port, !a.addr.Is4()
		if svc.Six {
			svc.Prefix = 128
		}
	case 'f':
		mark, ok := number(f.argument, 1, maxUint)
		if !ok {
			return true, fail(exitUsage, "invalid fwmark value `%s' specified", f.argument)
		}
		svc.Mark = uint32(mark)
	case 's':
		svc.Scheduler = cut(f.argument, 15) // what the kernel has room for
	case 'p':
		return true, p.persistent(f)
	case 'M':
		return true, p.mask(f.argument)
	case 'o':
		svc.Flags |= OnePacket
	case tagPE:
		svc.PE = cut(f.argument, 16)
	case 'b':
		p.flags = f.argument
	}
	return true, nil
}

func (p *parser) persistent(f found) error {
	svc := &p.cmd.Service
	svc.Flags |= Persistent
	svc.Timeout = defaultPersist
	if !f.given {
		return nil
	}
	seconds, err := timeout(f.argument, 1)
	svc.Timeout = seconds
	return err
}

func timeout(text string, lowest int64) (uint32, error) {
	seconds, ok := number(text, lowest, maxTimeout)
	if !ok {
		return 0, fail(exitUsage, "invalid timeout value `%s' specified", text)
	}
	return uint32(seconds), nil
}

func (p *parser) mask(text string) error {
	svc := &p.cmd.Service
	if svc.Six {
		bits := leading(text)
		if bits < 1 || bits > 128 {
			return fail(exitUsage, "illegal ipv6 netmask specified")
		}
		svc.Prefix = uint8(bits)
		return nil
	}
	mask, ok := dotted(text)
	if !ok {
		mask, ok = p.names.host(text)
	}
	if !ok {
		return fail(exitUsage, "illegal virtual server persistent mask specified")
	}
	svc.Mask = mask
	return nil
}

// schedulerFlags reads -b, which depends on -s wherever that stands.
func (p *parser) schedulerFlags() error {
	if p.flags == "" {
		return nil
	}
	scheduler := p.cmd.Service.Scheduler
	if scheduler == "" {
		scheduler = DefaultScheduler
	}
	words := strings.FieldsFunc(p.flags, func(r rune) bool { return r == ',' })
	if len(words) == 0 {
		return fail(exitUsage, "invalid scheduler flag `%s'", p.flags) // here ipvsadm crashes
	}
	for _, word := range words {
		flag, of := flagNamed(word)
		switch {
		case flag == 0:
			return fail(exitUsage, "invalid scheduler flag `%s'", word)
		case of != "" && of != scheduler:
			return fail(exitUsage, "incompatible scheduler flag `%s'", word)
		}
		p.cmd.Service.Flags |= flag
	}
	return nil
}

// schedFlagNames are the names of the three flags; every scheduler may have the
// ones under "".
var schedFlagNames = map[string][3]string{
	"sh": {"sh-fallback", "sh-port"},
	"mh": {"mh-fallback", "mh-port"},
	"":   {"flag-1", "flag-2", "flag-3"},
}

func flagNamed(word string) (flag Flags, of string) {
	for of, names := range schedFlagNames {
		for i, name := range names {
			if name == word {
				return Sched1 << i, of
			}
		}
	}
	return 0, ""
}
