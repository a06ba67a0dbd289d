/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Who is at the other end of a backend's connection: the client, and under FULLNAT
 * what stands for it, a local address and port. Of each the other's entry in the
 * flow tables tells, so no packet of a known flow needs a look-up more.
 */
#ifndef LBCTL_PEER_H
#define LBCTL_PEER_H

#include "addresses.h"
#include "flow.h"

struct peer {
	struct address addr;
	__be16 port;
};

/* Who has sent the packet. */
static __always_inline struct peer sender_of(struct packet *p)
{
	return (struct peer){ .addr = source(p), .port = p->sport };
}

/* Who is to get it. */
static __always_inline struct peer receiver_of(struct packet *p)
{
	return (struct peer){ .addr = destination(p), .port = p->dport };
}

static __always_inline struct peer peer_in(struct flow *flow, __u8 six)
{
	return (struct peer){ .addr = peer_address_in(flow, six), .port = flow->pport };
}

static __always_inline void set_peer(struct flow *flow, struct peer *peer, __u8 six)
{
	set_peer_address(flow, peer->addr, six);
	flow->pport = peer->port;
}

/* Of REPLIES: who gets the reply. */
static __always_inline struct peer client_of(struct flow *replies, struct packet *p)
{
	return has_peer(replies, p->six) ? peer_in(replies, p->six) : receiver_of(p);
}

/*
 * The local end of a flow, as it was while the flow had the owner. False if it has
 * another by now: what was read may be of either, or of half of each.
 */
static __always_inline int read_local(struct flow *flow, __u64 owner, struct peer *local, __u8 six)
{
	*local = peer_in(flow, six);
	return local->port && !((owner_in(flow) ^ owner) & ~0xff00ULL);
}

#endif
