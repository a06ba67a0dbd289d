package ipvsadm

import (
	"iter"
	"net/netip"
)

// Proto is a service's transport protocol.
type Proto uint8

// The protocols, by their IP numbers.
const (
	NoProto Proto = 0
	TCP     Proto = 6
	UDP     Proto = 17
	SCTP    Proto = 132
)

// String returns what listings say.
func (p Proto) String() string {
	switch p {
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case SCTP:
		return "SCTP"
	}
	return "?"
}

// option is what names a service of the protocol on a command line.
func (p Proto) option() string {
	switch p {
	case TCP:
		return "-t"
	case UDP:
		return "-u"
	}
	return "--sctp-service"
}

// Key names a service: by protocol, address and port, or by firewall mark and
// family. Exactly one of Addr and Mark is set.
type Key struct {
	Proto Proto
	Addr  netip.Addr
	Port  uint16
	Mark  uint32
	Six   bool // IPv6; with an address it follows from that
}

// Flags are a service's flags, with the kernel's values.
type Flags uint32

// The flags. A scheduler gives its own meaning to the three that it may have.
const (
	Persistent Flags = 0x01
	OnePacket  Flags = 0x04
	Sched1     Flags = 0x08 // sh-fallback, mh-fallback
	Sched2     Flags = 0x10 // sh-port, mh-port
	Sched3     Flags = 0x20
	schedFlags       = Sched1 | Sched2 | Sched3
)

// Service is a virtual service.
type Service struct {
	Key
	Scheduler string
	Flags     Flags
	Timeout   uint32     // of persistence, seconds; valid iff Persistent
	Mask      netip.Addr // IPv4 persistence granularity; invalid means a /32
	Prefix    uint8      // IPv6 persistence granularity, 1 to 128
	PE        string     // persistence engine
	Stats     Stats
	Dests     []Dest // the newest first, as the kernel keeps them
}

// Forward is how packets reach a destination.
type Forward uint8

// The forwarding methods, Route being the default.
const (
	Route Forward = iota
	Masq
	Tunnel
	FullNAT // no kernel's of today: as LVS's FULLNAT patches call it
)

func (f Forward) String() string { return [...]string{"Route", "Masq", "Tunnel", "FullNat"}[f] }

func (f Forward) option() string { return [...]string{"-g", "-m", "-i", "-b"}[f] }

// TunnelType is how a tunnel wraps packets.
type TunnelType uint8

// The tunnels.
const (
	IPIP TunnelType = iota
	GUE
	GRE
)

var tunnelNames = []string{"ipip", "gue", "gre"}

func (t TunnelType) String() string { return tunnelNames[t] }

// Checksum is what a GUE or GRE tunnel does about checksums.
type Checksum uint8

// The kinds of checksums.
const (
	NoChecksum Checksum = iota
	OuterChecksum
	RemoteChecksum
)

func (c Checksum) short() string { return [...]string{"-c", "+c", "r+c"}[c] }

func (c Checksum) option() string {
	return [...]string{"--tun-nocsum", "--tun-csum", "--tun-remcsum"}[c]
}

// Dest is a destination, which ipvsadm also calls a real server.
type Dest struct {
	Addr       netip.AddrPort
	Forward    Forward
	Weight     uint32 // at most 2^31-1
	Upper      uint32 // threshold of connections; 0: none
	Lower      uint32 // threshold of connections; 0: three quarters of Upper
	Tunnel     TunnelType
	TunnelPort uint16
	Checksum   Checksum
	Active     uint32 // connections
	Inactive   uint32
	Persistent uint32
	Stats      Stats
}

// Stats are totals and what they grow by in a second.
type Stats struct {
	Conns, InPkts, OutPkts, InBytes, OutBytes uint64
	CPS, InPPS, OutPPS, InBPS, OutBPS         uint64
}

// Timeouts are in seconds.
type Timeouts struct{ TCP, TCPFin, UDP uint32 }

// Conn is one connection that the balancer knows.
type Conn struct {
	Proto                 Proto  // NoProto of a template of a firewall mark
	Expires               uint32 // seconds left
	State                 string // ESTABLISHED, FIN_WAIT …
	Client, Virtual, Dest netip.AddrPort
	PE, PEData            string
}

// Table is all that ipvsadm can show.
type Table struct {
	Size     int // buckets of the connection table
	Services []Service
	Conns    iter.Seq2[Conn, error] // an error is the last; nil: none
	Timeouts Timeouts
	Daemons  []Daemon // of connection synchronisation
	// Refuse, unless nil, is asked before a service becomes what it is given;
	// an error leaves the table as it was.
	Refuse func(Service) error
}

// service returns the index of a service, -1 if there is none.
func (t *Table) service(k Key) int {
	for i := range t.Services {
		if t.Services[i].Key == k {
			return i
		}
	}
	return -1
}

func (s *Service) dest(addr netip.AddrPort) int {
	for i := range s.Dests {
		if s.Dests[i].Addr == addr {
			return i
		}
	}
	return -1
}
