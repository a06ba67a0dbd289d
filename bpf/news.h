/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is told of flows, for a balancer beside this one: that one has begun, or
 * is in another state. A flow that goes on as it is costs nothing. Go reads
 * the ring again and again, so nobody is woken.
 */
#ifndef LBCTL_NEWS_H
#define LBCTL_NEWS_H

#include "owner.h"
#include "peer.h"

/* A subprogram of its own: it is no part of the hot path, and is needed in several places. */
static __noinline void report(struct news *told)
{
	__u32 zero = 0;
	__u64 *lost;

	if (!bpf_ringbuf_output(&news_ring, told, sizeof(*told), BPF_RB_NO_WAKEUP))
		return;
	lost = bpf_map_lookup_elem(&news_lost, &zero);
	if (lost)
		__sync_fetch_and_add(lost, 1);
}

static __always_inline int is_told(enum flow_state state)
{
	__u32 zero = 0;
	struct setting *s = bpf_map_lookup_elem(&settings, &zero);

	return s && s->told & 1U << (state & 31);
}

/* What an entry says of a flow's ends, if there is one yet: how they differ, and of FULLNAT the local end. */
static __always_inline void tell_of_ends(struct news *told, struct flow *flow, __u8 six)
{
	if (!flow)
		return;
	if (flow->delta && flow->joint == JOINED) {
		told->delta = flow->delta;
		told->shift = flow->shift;
	}
	if (kind_of(flow->owner) == REPLIES || !has_peer(flow, six))
		return;
	told->peer = peer_address_in(flow, six);
	told->pport = flow->pport;
}

/* After a request: its flow has that owner now. flow may be NULL if it has just begun, but not under FULLNAT. */
static __always_inline void tell_of_request(struct packet *p, struct flow *flow, __u64 owner)
{
	if (!is_live(owner) || !is_told(state_of(owner)))
		return;
	struct news told = {
		.tuple = {
			.src = source(p),
			.dst = destination(p),
			.sport = p->sport,
			.dport = p->dport,
			.proto = p->proto,
		},
		.owner = owner,
	};

	tell_of_ends(&told, flow, p->six);
	report(&told);
}

/* After a reply, to what was the VIP. */
static __always_inline void tell_of_reply(struct packet *p, struct flow *replies, __u64 owner)
{
	struct peer client, local;

	if (!is_live(owner) || !is_told(state_of(owner)))
		return;
	client = client_of(replies, p);
	local = receiver_of(p);
	struct news told = {
		.tuple = {
			.src = client.addr,
			.dst = vip_in(replies, p->six),
			.sport = client.port,
			.dport = replies->vport,
			.proto = p->proto,
		},
		.owner = owner,
	};

	tell_of_ends(&told, replies, p->six);
	if (has_peer(replies, p->six)) {
		told.peer = local.addr;
		told.pport = local.port;
	}
	report(&told);
}

#endif
