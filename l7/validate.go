package l7

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lbctl/internal/lb"
	"lbctl/internal/proxy"
)

// policies are those of internal/balance.
var policies = []string{"rr", "wrr", "lc", "wlc", "p2c", "ewma", "random", "sh", "mh", "hash", "first"}

// Validate reports what of a service this plane can never do, nil if it can do it all.
func Validate(v lb.Service) error {
	switch {
	case !slices.Contains(policies, string(v.Policy)):
		return fmt.Errorf("policy %q is for l4: want one of %s", v.Policy, strings.Join(policies, ", "))
	case v.L4.Ports || v.L4.Fallback:
		return errors.New("ports and fallback are for l4")
	}
	if err := validateVIP(v.VIP); err != nil {
		return err
	}
	if err := validateHTTP(v); err != nil {
		return err
	}
	for _, b := range v.Backends {
		if b.Upper != 0 || b.Lower != 0 {
			return fmt.Errorf("backend %q: thresholds are for l4", b.Name)
		}
	}
	return nil
}

// validateVIP wants an address that the kernel gives back as it is, because master and
// workers know a socket by it. None at all is that of a service that only routes lead to.
func validateVIP(v lb.VIP) error {
	ip := v.Addr.Addr()
	switch {
	case !v.Addr.IsValid():
		return nil
	case v.Proto != lb.TCP:
		return fmt.Errorf("protocol %q: l7 speaks tcp only", v.Proto)
	case v.Addr.Port() == 0:
		return fmt.Errorf("address %s: no port", v.Addr)
	case ip.Is4In6():
		return fmt.Errorf("address %s: %s is IPv4 within IPv6: want %s", v.Addr, ip, ip.Unmap())
	case ip.Zone() != "":
		return fmt.Errorf("address %s: it has a zone, and so cannot be listened at", v.Addr)
	}
	return nil
}

// validateHTTP makes the service as a worker would, and throws it away.
func validateHTTP(v lb.Service) error {
	if v.HTTP.Sticky.Cookie != "" && v.HTTP.Sticky.Key == "" {
		v.HTTP.Sticky.Key = strings.Repeat("?", 32) // the Controller's will be no shorter
	}
	v.Backends = nil // they have no IDs yet
	v.HTTP = withDefaults(v.HTTP)
	_, err := proxy.NewService(v, nil, proxy.NoAccounts)
	return err
}
