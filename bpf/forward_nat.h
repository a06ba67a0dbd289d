/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * NAT, LVS's masquerading: requests get the backend's address and port as their
 * destination, replies the service's as their source. Backends need a way to
 * the clients over the balancer, and know nothing of VIPs. The way of replies is
 * FULLNAT's as well.
 */
#ifndef LBCTL_FORWARD_NAT_H
#define LBCTL_FORWARD_NAT_H

#include "checksum.h"
#include "mtu.h"
#include "replies.h"
#include "splice.h"
#include "stats.h"
#include "transmit.h"

enum end {
	SENDER,
	RECEIVER,
};

/* The address of one end gets another value; returns what that adds to a sum. */
static __always_inline __u64 readdress(struct packet *p, enum end end, struct address *to)
{
	__be32 *at;
	__u64 sum = 0;

	if (!p->six) {
		at = end == SENDER ? &p->ip->saddr : &p->ip->daddr;
		sum = change32(*at, to->word[3]);
		*at = to->word[3];
		p->ip->check = mend(p->ip->check, sum);
		return sum;
	}
	at = end == SENDER ? p->ip6->saddr.in6_u.u6_addr32 : p->ip6->daddr.in6_u.u6_addr32;
	for (int i = 0; i < 4; i++) {
		sum += change32(at[i], to->word[i]);
		at[i] = to->word[i];
	}
	return sum;
}

/* One end of the packet gets another address and port, and all checksums are mended. */
static __always_inline void translate(struct packet *p, enum end end, struct address *to, __be16 port)
{
	__be16 *at = end == SENDER ? &p->tcp->source : &p->tcp->dest; /* in UDP they lie there, too */

	amend(p, readdress(p, end, to), change16(*at, port));
	*at = port;
}

/* Both ends do. */
static __always_inline void translate_both(struct packet *p, struct address *from, __be16 from_port, struct address *to,
					   __be16 to_port)
{
	__be16 *sport = &p->tcp->source, *dport = &p->tcp->dest;

	amend(p, readdress(p, SENDER, from) + readdress(p, RECEIVER, to),
	      change16(*sport, from_port) + change16(*dport, to_port));
	*sport = from_port;
	*dport = to_port;
}

static __always_inline int forward_nat(struct packet *p, struct backend *backend)
{
	translate(p, RECEIVER, &backend->addr, port_of(backend, p));
	return transmit(p, backend->ifindex, backend->mac);
}

/* What answer() leaves to join(): no action's number. */
#define UNJOINED_REPLY (DONE | 1 << 8)

/* The way of a reply. */
static __always_inline __u32 answer(struct packet *p, struct flow *flow, __u64 owner)
{
	struct address vip, client;
	struct port *port;
	__u32 ifindex = flow->ifindex;
	int action;

	if (!backend_of(owner))
		return leave(XDP_DROP, STALE_REPLY);
	if (flow->delta && is_unjoined(flow, p))
		return UNJOINED_REPLY;
	port = bpf_map_lookup_elem(&ports, &ifindex);
	if (!port)
		return leave(XDP_DROP, BROKEN);
	if (!fits(p, port->mtu))
		return tell(p, port->mtu);
	count_reply(slot_of(owner), p);
	if (!flow->delta || !is_question(flow, owner, p))
		note_reply(flow, owner, p);
	if (flow->delta)
		to_clients_numbers(p, flow->delta, flow->shift);
	decrement_ttl(p);
	vip = vip_in(flow, p->six);
	client = peer_address_in(flow, p->six);
	if (has_peer(flow, p->six))
		translate_both(p, &vip, flow->vport, &client, flow->pport);
	else
		translate(p, SENDER, &vip, flow->vport);
	action = transmit(p, ifindex, flow->mac);
	return action == XDP_ABORTED ? leave(XDP_DROP, BROKEN) : leave(action, REPLY);
}

#endif
