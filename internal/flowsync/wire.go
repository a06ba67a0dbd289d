package flowsync

import (
	"time"

	"lbctl/internal/lb"
)

// Port is where messages go to (IP_VS_SYNC_PORT).
const Port = 8848

// MaxMessage is how many bytes a message has at most: the UDP payload of an
// Ethernet frame over IPv4.
const MaxMessage = 1472

// Sizes and words of ip_vs_sync.c.
const (
	headerSize = 8  // struct ip_vs_sync_mesg
	entrySize4 = 36 // struct ip_vs_sync_v4
	entrySize6 = 72 // struct ip_vs_sync_v6

	protocolVersion = 1
	typeInet6       = 1 // STYPE_F_INET6
	sizeMask        = 0x0fff

	maxFlows = 255 // in a message: its count is a byte

	protoTCP = 6
	protoUDP = 17
)

// Flags of a connection (include/uapi/linux/ip_vs.h).
const (
	forwardMask    = 0x0007
	flagNoOutput   = 0x0080 // replies do not pass here
	flagInactive   = 0x0100
	flagNoPort     = 0x0800
	flagTemplate   = 0x1000
	flagsUnmeant   = flagNoPort | flagTemplate // entries that are no flow of one client's port
	forwardMasq    = 0
	forwardTunnel  = 2
	forwardDirect  = 3
	forwardFullNAT = 5 // of the LVS patches that brought it; the kernel has none
)

// Parameters behind an entry: type, length, value. Who does not know a type
// skips it if it bears the bit, and refuses the message if not.
const (
	paramSkippable = 0x40                  // IPVS_OPT_F_PARAM
	paramService   = paramSkippable | 0x10 // address and port of the service, if the client addressed another of its addresses
	paramDelta     = paramSkippable | 0x11 // of sequence numbers, and a byte by which windows are shifted
	paramPeer      = paramSkippable | 0x12 // address and port
)

// longestLeft is the most that a flow may say it has left.
const longestLeft = 7 * 24 * time.Hour

var forwards = map[lb.Forward]uint32{
	lb.NAT: forwardMasq, lb.Tunnel: forwardTunnel, lb.DirectRouting: forwardDirect, lb.FullNAT: forwardFullNAT,
}

// tcpStates are the numbers of states (include/net/ip_vs.h, IP_VS_TCP_S_*).
var tcpStates = map[lb.FlowState]uint16{
	lb.FlowEstablished: 1, lb.FlowSynReceived: 3, lb.FlowFinWait: 4, lb.FlowTimeWait: 5, lb.FlowClosed: 6, lb.FlowCloseWait: 7,
}

func inverse[K, V comparable](m map[K]V) map[V]K {
	out := make(map[V]K, len(m))
	for k, v := range m {
		out[v] = k
	}
	return out
}

var (
	forwardOf  = inverse(forwards)
	tcpStateOf = inverse(tcpStates)
)

func isInactive(s lb.FlowState) bool { return s != lb.FlowEstablished && s != lb.FlowSynReceived }
