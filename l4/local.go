package l4

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"lbctl/internal/lb"
)

// Under fullnat a backend sees a local address and port of the balancer's in the
// client's place. Addresses of a pool are for that alone, so any port will do. On
// the balancer's own address the stack has connections, too: there it is the ports
// above those that the kernel gives its own (net.ipv4.ip_local_port_range).

// Of a pool's addresses: all but the ports that need a privilege to be had.
const (
	firstPoolPort = 1024
	poolPorts     = 65536 - firstPoolPort
)

// maxPoolBits are the bits that addresses of a pool may differ in: bpf/claim.h numbers local ends in 31 bits.
const maxPoolBits = 15

// ValidatePool reports what no plane could take local addresses from, nil if it is a pool.
func ValidatePool(pool netip.Prefix) error {
	switch {
	case !pool.IsValid() || pool.Addr().Is4In6():
		return fmt.Errorf("local addresses %s: want a prefix of IPv4 or IPv6", pool)
	case pool != pool.Masked():
		return fmt.Errorf("local addresses %s: it has bits set behind its length; want %s", pool, pool.Masked())
	case pool.Addr().BitLen()-pool.Bits() > maxPoolBits:
		return fmt.Errorf("local addresses %s: want at most %d", pool, 1<<maxPoolBits)
	}
	return nil
}

func validatePools(pools []netip.Prefix) error {
	seen := map[bool]bool{}
	for _, pool := range pools {
		if err := ValidatePool(pool); err != nil {
			return err
		}
		if seen[pool.Addr().Is6()] {
			return fmt.Errorf("local addresses %s: there is another pool of its family", pool)
		}
		seen[pool.Addr().Is6()] = true
	}
	return nil
}

// localize says by what a backend of fullnat sees the balancer, from now on: what
// flows have already they keep. source is the balancer's own address towards it.
func (p *Plane) localize(b *xdpBackend, w *wanted, source netip.Addr) {
	b.FirstPort, b.Ports = 0, 0
	b.Flags &^= xdpBackendFlagTELLS_CLIENT
	if b.Forward != xdpForwardFULLNAT {
		return
	}
	if w.L4.TOA {
		b.Flags |= xdpBackendFlagTELLS_CLIENT
	}
	if pool := p.poolOf(source.Is6()); pool.IsValid() {
		b.Source, b.Vary = toAddress(pool.Addr()), varied(pool)
		b.FirstPort, b.Ports = firstPoolPort, poolPorts
		return
	}
	b.FirstPort, b.Ports = p.ownPorts.first, p.ownPorts.count
}

func (p *Plane) poolOf(six bool) netip.Prefix {
	for _, pool := range p.options.LocalAddresses {
		if pool.Addr().Is6() == six {
			return pool
		}
	}
	return netip.Prefix{}
}

// ports are some in a row.
type ports struct{ first, count uint16 }

// readOwnPorts returns those of the balancer's own addresses that the stack leaves alone.
func (p *Plane) readOwnPorts() error {
	return p.options.NetNS.Do(func() error {
		const file = "/proc/sys/net/ipv4/ip_local_port_range"
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read the stack's own ports: %w", err)
		}
		var low, high uint16
		if _, err := fmt.Sscan(strings.TrimSpace(string(text)), &low, &high); err != nil {
			return fmt.Errorf("read the stack's own ports from %s: %w", file, err)
		}
		p.ownPorts = ports{}
		if high < 65535 {
			p.ownPorts = ports{high + 1, 65535 - high}
		}
		return nil
	})
}

// localizes reports why fullnat has no local end towards a backend.
func (p *Plane) localizes(w *wanted, b lb.Backend, via way) error {
	if w.forward != xdpForwardFULLNAT || p.poolOf(b.Addr.Addr().Unmap().Is6()).IsValid() {
		return nil
	}
	switch {
	case !via.source.IsValid():
		return fmt.Errorf("find a local address towards %s: the route names none; give the plane local addresses", b.Addr.Addr())
	case p.ownPorts.count == 0:
		return errors.New("find local ports: net.ipv4.ip_local_port_range leaves none above it; end it below 65535, or give the plane local addresses")
	}
	return nil
}
