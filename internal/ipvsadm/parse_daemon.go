package ipvsadm

import (
	"net/netip"
	"strings"
)

func (p *parser) daemon(f found) (mine bool, err error) {
	d := &p.cmd.Daemon
	switch f.tag {
	case tagMcastInterface:
		d.Interface = cut(f.argument, 15)
		return p.noted(OptMcastInterface, nil)
	case tagMcastGroup:
		d.Group = f.argument
		return p.noted(OptMcastGroup, group(f.argument))
	case tagSyncID:
		return p.within(OptSyncID, f.argument, 0, 255, &d.SyncID, "illegal syncid specified")
	case tagMcastPort:
		return p.within(OptMcastPort, f.argument, 1, 65535, &d.Port, "illegal mcast-port specified")
	case tagMcastTTL:
		return p.within(OptMcastTTL, f.argument, 1, 255, &d.TTL, "illegal mcast-ttl specified")
	case tagSyncMaxLen:
		return p.within(OptSyncMaxLen, f.argument, 1, 65535-20-8, &d.MaxLen, "illegal sync-maxlen specified")
	}
	return false, nil
}

func (p *parser) within(o Option, text string, lowest, highest int64, into *int, fault string) (mine bool, err error) {
	n, ok := number(text, lowest, highest)
	if !ok {
		return p.noted(o, fail(exitUsage, "%s", fault))
	}
	*into = int(n)
	return p.noted(o, nil)
}

func group(text string) error {
	addr, err := netip.ParseAddr(text)
	family := "IPv4"
	if strings.Contains(text, ":") {
		family = "IPv6"
	}
	if err != nil || addr.Zone() != "" || !addr.IsMulticast() {
		return fail(exitUsage, "invalid %s mcast-group `%s'", family, text)
	}
	return nil
}
