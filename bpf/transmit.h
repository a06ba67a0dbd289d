/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The last step of every way of forwarding: out of the interface and to the MAC
 * address that are the packet's next.
 */
#ifndef LBCTL_TRANSMIT_H
#define LBCTL_TRANSMIT_H

#include "checksum.h"
#include "maps.h"
#include "parse.h"

/* Of headers that are made here. */
#define OUR_TTL 64
#define DONT_FRAGMENT 0x4000

/*
 * Without it a packet could circle at wire speed. The checksum's update is that
 * of RFC 1624, as in the kernel's ip_decrease_ttl().
 */
static __always_inline void decrement_ttl(struct packet *p)
{
	__u32 check;

	if (p->six) {
		__be16 *word = (__be16 *)&p->ip6->nexthdr, old = *word; /* and hop_limit */

		p->ip6->hop_limit--;
		amend_bare(p, change16(old, *word));
		return;
	}
	check = p->ip->check + bpf_htons(0x0100);
	p->ip->check = check + (check >= 0xffff);
	p->ip->ttl--;
}

/* The action, or XDP_ABORTED if the interface is none of the plane's. */
static __always_inline int transmit(struct packet *p, __u32 ifindex, __u8 *mac)
{
	struct port *port;

	if (ifindex == p->ingress) {
		/* is_ours() has seen that h_dest is this interface's address. */
		__builtin_memcpy(p->eth->h_source, p->eth->h_dest, ETH_ALEN);
		__builtin_memcpy(p->eth->h_dest, mac, ETH_ALEN);
		return XDP_TX;
	}
	port = bpf_map_lookup_elem(&ports, &ifindex);
	if (!port)
		return XDP_ABORTED;
	__builtin_memcpy(p->eth->h_source, port->mac, ETH_ALEN);
	__builtin_memcpy(p->eth->h_dest, mac, ETH_ALEN);
	return redirect(p->hook, ifindex, port);
}

#endif
