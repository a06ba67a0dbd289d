package lb

import "time"

// L4Options is what an L4 service may be told beyond policy and forward. Zero
// means: as IPVS does without a flag.
type L4Options struct {
	Also       []Match       `json:"also,omitempty"`       // what clients may address beside the VIP, or without one: a group, as by a firewall mark
	Ports      bool          `json:"ports,omitempty"`      // sh, mh: hash the client's port, too (sh-port, mh-port); scenarios set it for mh unless told
	Fallback   bool          `json:"fallback,omitempty"`   // sh, mh: another backend if the key's own takes nothing new (sh-fallback, mh-fallback)
	OnePacket  bool          `json:"one_packet,omitempty"` // UDP: each datagram is scheduled anew, nothing is remembered
	Persist    Persistence   `json:"persist,omitzero"`
	Lost       Lost          `json:"lost,omitempty"`  // what becomes of a flow whose backend has gone
	Tunnel     Encapsulation `json:"tunnel,omitzero"` // of forward tun
	TOA        bool          `json:"toa,omitempty"`   // of forward fullnat: the client's address in a TCP option
	QUIC       bool          `json:"quic,omitempty"`  // UDP: stick to the connection ID that the backend chose
	SYNCookies SYNCookies    `json:"syn_cookies,omitempty"`
	SYNFlood   uint32        `json:"syn_flood,omitempty"` // of syn_cookies auto: more SYNs in a second that no connection comes of; 0: 1000
	SYNLimit   uint32        `json:"syn_limit,omitempty"` // SYNs per second and client (of IPv6, per /64); 0: unlimited
	Mark       uint32        `json:"mark,omitempty"`      // what ipvsadm -f calls the group; the plane does not read it
}

// Persistence sends all connections of a client to one backend, until it has
// had none for the timeout.
type Persistence struct {
	Timeout time.Duration `json:"timeout"`           // 0: off
	Bits4   uint8         `json:"bits4,omitempty"`   // clients that share this many bits are one; 0: 32
	Bits6   uint8         `json:"bits6,omitempty"`   // 0: 128
	Quiesce bool          `json:"quiesce,omitempty"` // a backend of weight 0 loses its clients, too (expire_quiescent_template)
}

// Lost says what becomes of a flow whose backend was removed, disabled or found down.
type Lost string

// What may become of it.
const (
	LostMoves   Lost = ""       // to another backend, whose reset tells the client
	LostDrops   Lost = "drop"   // IPVS with expire_nodest_conn 0: dropped in silence until it is idle long enough
	LostExpires Lost = "expire" // IPVS with expire_nodest_conn 1: forgotten at the next packet, which begins anew
	LostResets  Lost = "reset"  // both ends are told by a RST
)

// Encapsulation is how forward tun wraps packets.
type Encapsulation struct {
	Kind TunnelKind `json:"kind"`           // empty: ipip
	Port uint16     `json:"port,omitempty"` // of GUE; 0: 6080
}

// TunnelKind names an encapsulation.
type TunnelKind string

// The encapsulations.
const (
	IPIP TunnelKind = "ipip" // IPv4 in IPv4 (RFC 2003), IPv6 in IPv6 and IPv4 in IPv6 (RFC 2473)
	GUE  TunnelKind = "gue"  // Generic UDP Encapsulation, variant 1: the IP packet right behind UDP
)

// SYNCookies says when SYNs are answered in the backend's place.
type SYNCookies string

// When they are.
const (
	SYNCookiesNever  SYNCookies = ""       // never
	SYNCookiesAuto   SYNCookies = "auto"   // while the service is under a flood
	SYNCookiesAlways SYNCookies = "always" // for measuring
)
