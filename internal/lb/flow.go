package lb

import (
	"net/netip"
	"time"
)

// Flow is a connection that L4 remembers, or a client that sticks to a backend.
type Flow struct {
	Service string         `json:"service"`
	Proto   Protocol       `json:"proto"`
	Client  netip.AddrPort `json:"client"` // port 0 of clients that stick
	VIP     netip.AddrPort `json:"vip"`    // what the client asked for
	Backend netip.AddrPort `json:"backend"`
	State   string         `json:"state"`           // IPVS's word: SYN_RECV, ESTABLISHED, FIN_WAIT …, UDP, or NONE of clients that stick
	Expires time.Duration  `json:"expires"`         // unless another packet comes
	Sticky  bool           `json:"sticky,omitzero"` // it is no connection
}
