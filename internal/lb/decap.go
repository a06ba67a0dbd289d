package lb

import "net/netip"

// Decap is what a server takes out of tunnels: packets to its ends of them, from
// the balancer, in which there is one to a VIP.
type Decap struct {
	Ends    []TunnelEnd    `json:"ends"`
	Sources []netip.Prefix `json:"sources"` // that the balancer's outer headers may bear
	VIPs    []netip.Addr   `json:"vips"`
}

// TunnelEnd is one of a server's addresses that tunnels lead to.
type TunnelEnd struct {
	Addr netip.Addr    `json:"addr"`
	By   Encapsulation `json:"by,omitzero"`
}
