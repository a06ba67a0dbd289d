// Package flowsync keeps a standby balancer told of the active one's flows, so
// that connections outlive a failover even where the policy would choose
// another backend for them.
//
// It speaks version 1 of the protocol of the kernel's IPVS
// (net/netfilter/ipvs/ip_vs_sync.c): UDP messages of up to 255 flows, no
// acknowledgement, flows named by the addresses of client, service and backend.
// What is lost is made good when the flow is told of again, at the latest after
// Policy.Refresh. Unlike the kernel's, messages go to one address instead of a
// group, and what the kernel has no field for is in parameters that it skips.
package flowsync
