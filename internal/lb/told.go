package lb

import (
	"net/netip"
	"time"
)

// ToldFlow is a flow as one balancer tells another of it, which has the same
// services: all by address, since IDs and slots are one balancer's own.
type ToldFlow struct {
	Proto   Protocol       `json:"proto"`
	Client  netip.AddrPort `json:"client"`
	VIP     netip.AddrPort `json:"vip"`     // that the client addressed, which a service of many addresses has among them
	Service VIP            `json:"service"` // the service's own
	Backend netip.AddrPort `json:"backend"`
	Forward Forward        `json:"forward"`
	State   FlowState      `json:"state"`
	Left    time.Duration  `json:"left"`           // until it is over, if no packet comes
	Delta   uint32         `json:"delta,omitzero"` // of SYN cookies: what is added to the backend's sequence numbers
	Shift   int8           `json:"shift,omitzero"` // of these, too: by how many bits its windows are shifted to the left
	Peer    netip.AddrPort `json:"peer,omitzero"`  // of fullnat: the balancer's own end towards the backend
}

// FlowState is how far a flow has come, in the kernel's words
// (net/netfilter/ipvs/ip_vs_proto_tcp.c, ip_vs_proto_udp.c).
type FlowState string

// The states of flows. What only the client's side is seen of has fewer.
const (
	FlowSynReceived FlowState = "SYN_RECV"
	FlowEstablished FlowState = "ESTABLISHED"
	FlowFinWait     FlowState = "FIN_WAIT"
	FlowCloseWait   FlowState = "CLOSE_WAIT"
	FlowTimeWait    FlowState = "TIME_WAIT"
	FlowClosed      FlowState = "CLOSE"
	FlowDatagrams   FlowState = "UDP"
)
