package l4

import (
	"cmp"
	"errors"
	"fmt"

	"lbctl/internal/lb"
)

// cookies are the words for when SYNs are answered by cookies.
var cookies = map[lb.SYNCookies]xdpCookies{
	lb.SYNCookiesNever:  xdpCookiesNEVER,
	lb.SYNCookiesAuto:   xdpCookiesAUTO,
	lb.SYNCookiesAlways: xdpCookiesALWAYS,
}

// defaultFlood is how many SYNs in a second are a flood if no connection comes of
// them. A server's queue of half-open connections has room for as many or a few
// times that (net.core.somaxconn 4096; 128 before Linux 5.4).
const defaultFlood = 1000

// validateDefence reports what of a service's defence this plane cannot do.
func validateDefence(v lb.Service) error {
	o := v.L4
	_, known := cookies[o.SYNCookies]
	switch {
	case !known:
		return fmt.Errorf("syn_cookies %q: want auto or always, or nothing", o.SYNCookies)
	case v.VIP.Proto == lb.UDP && (o.SYNCookies != lb.SYNCookiesNever || o.SYNLimit != 0):
		return errors.New("syn_cookies, syn_limit: want proto tcp, for only TCP has SYNs")
	case o.SYNCookies != lb.SYNCookiesNever && keepers[forwards[v.Forward]] != "":
		return fmt.Errorf("syn_cookies under %s: replies do not pass the balancer, so nobody could translate the sequence numbers of a backend to those that its client was told; want nat or fullnat", keepers[forwards[v.Forward]])
	}
	return nil
}

func toDefence(o lb.L4Options) xdpDefence {
	return xdpDefence{Cookies: cookies[o.SYNCookies], Limit: o.SYNLimit, Flood: cmp.Or(o.SYNFlood, defaultFlood)}
}

// setDefence changes it at once: it refers to nothing. What the program counts
// there starts anew only if something has changed.
func (p *Plane) setDefence(v *service, w *wanted) error {
	var was xdpDefence
	if err := p.objects.Defences.Lookup(v.value.Index, &was); err != nil {
		return err
	}
	next := toDefence(w.L4)
	if was.Cookies == next.Cookies && was.Limit == next.Limit && was.Flood == next.Flood {
		return nil
	}
	return p.objects.Defences.Put(v.value.Index, next)
}
