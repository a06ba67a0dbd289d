/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The last step of every way of forwarding: out of the interface and to the MAC
 * address that are the packet's next.
 */
#ifndef LBCTL_TRANSMIT_H
#define LBCTL_TRANSMIT_H

#include "checksum.h"
#include "ether.h"
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

/*
 * tc's action that sends the frame out of a port. What leaves by a veth comes in
 * at its other end at once, without the queues of both: XDP passes by the first
 * as well.
 */
static __always_inline int redirect_tcx(__u32 ifindex, const struct port *port)
{
	return port && port->across ? bpf_redirect_peer(ifindex, 0) : bpf_redirect(ifindex, 0);
}

/* The action that sends the frame out of a port other than that which it came in by. */
static __always_inline int redirect(enum hook hook, __u32 ifindex, const struct port *port)
{
	if (hook == TCX)
		return redirect_tcx(ifindex, port) == TC_ACT_REDIRECT ? XDP_REDIRECT : XDP_ABORTED;
	return bpf_redirect(ifindex, 0);
}

/* An action in tcx's words, which has tc's numbers. What is passed goes to the next program, if there is one. */
static __always_inline int tcx_action(struct __sk_buff *skb, int action)
{
	__u32 ifindex = skb->ifindex;

	switch (action) {
	case XDP_PASS:
		return TC_ACT_UNSPEC;
	case XDP_TX:
		return redirect_tcx(ifindex, bpf_map_lookup_elem(&ports, &ifindex));
	case XDP_REDIRECT:
		return TC_ACT_REDIRECT;
	}
	return TC_ACT_SHOT;
}

/* The action, or XDP_ABORTED if the interface is none of the plane's. mac is in a map. */
static __always_inline int transmit(struct packet *p, __u32 ifindex, const __u8 *mac)
{
	struct port *port;

	if (ifindex == p->ingress) {
		/* is_ours() has seen that h_dest is this interface's address. */
		copy_mac(p->eth->h_source, p->eth->h_dest);
		copy_mac(p->eth->h_dest, mac);
		return XDP_TX;
	}
	port = bpf_map_lookup_elem(&ports, &ifindex);
	if (!port)
		return XDP_ABORTED;
	copy_mac(p->eth->h_source, port->mac);
	copy_mac(p->eth->h_dest, mac);
	return redirect(p->hook, ifindex, port);
}

#endif
