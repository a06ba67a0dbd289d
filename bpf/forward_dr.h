/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Direct routing: the packet goes to the backend's MAC address as it is. The
 * backend has the VIP on its loopback and answers the client itself.
 */
#ifndef LBCTL_FORWARD_DR_H
#define LBCTL_FORWARD_DR_H

#include "maps.h"
#include "parse.h"

/*
 * Without it a packet could circle at wire speed. The checksum's update is that
 * of RFC 1624, as in the kernel's ip_decrease_ttl().
 */
static __always_inline void decrement_ttl(struct packet *p)
{
	__u32 check;

	if (p->six) {
		p->ip6->hop_limit--;
		return;
	}
	check = p->ip->check + bpf_htons(0x0100);
	p->ip->check = check + (check >= 0xffff);
	p->ip->ttl--;
}

static __always_inline int forward_dr(struct packet *p, struct backend *backend)
{
	struct port *port;

	if (backend->ifindex == p->ingress) {
		/* is_ours() has seen that h_dest is this interface's address. */
		__builtin_memcpy(p->eth->h_source, p->eth->h_dest, ETH_ALEN);
		__builtin_memcpy(p->eth->h_dest, backend->mac, ETH_ALEN);
		decrement_ttl(p);
		return XDP_TX;
	}
	port = bpf_map_lookup_elem(&ports, &backend->ifindex);
	if (!port)
		return XDP_ABORTED;
	__builtin_memcpy(p->eth->h_source, port->mac, ETH_ALEN);
	__builtin_memcpy(p->eth->h_dest, backend->mac, ETH_ALEN);
	decrement_ttl(p);
	return bpf_redirect(backend->ifindex, 0);
}

#endif
