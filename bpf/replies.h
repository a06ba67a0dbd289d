/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The second entry of a flow under NAT, by which replies are recognised: its key
 * is the reply's tuple, from the backend's address and port to the client's.
 *
 * Both entries live and die together. Either direction tells the other's entry
 * of itself once in a jiffy, so that neither grows old alone.
 */
#ifndef LBCTL_REPLIES_H
#define LBCTL_REPLIES_H

#include "flow.h"

/* The key of the replies to a request. */
static __always_inline void key_of_replies(struct packet *p, struct backend *backend, union tuple *key)
{
	if (p->six)
		key->v6 = (struct tuple6){
			.src = backend->addr,
			.dst = source(p),
			.sport = backend->port,
			.dport = p->sport,
			.proto = p->proto,
		};
	else
		key->v4 = (struct tuple4){
			.src = backend->addr.word[3],
			.dst = p->ip->saddr,
			.sport = backend->port,
			.dport = p->sport,
			.proto = p->proto,
		};
}

/* The key of the requests that a reply answers. */
static __always_inline void key_of_requests(struct packet *p, struct vip *vip, union tuple *key)
{
	if (p->six)
		key->v6 = (struct tuple6){
			.src = destination(p),
			.dst = vip->addr,
			.sport = p->dport,
			.dport = vip->port,
			.proto = p->proto,
		};
	else
		key->v4 = (struct tuple4){
			.src = p->ip->daddr,
			.dst = vip->addr.word[3],
			.sport = p->dport,
			.dport = vip->port,
			.proto = p->proto,
		};
}

/*
 * The backend would take the client's packets for those of a connection that it
 * has by another service: there the tuple is the same.
 */
static __always_inline int clashes(struct packet *p, struct backend *backend)
{
	union tuple key;
	struct flow *other;

	if (backend->forward != NAT)
		return 0;
	key_of_replies(p, backend, &key);
	other = lookup(p, &key);
	return other && other->backend != backend->id && other->state != CLOSING &&
	       !is_idle(other) && backend_of(other);
}

/* Makes the entry for replies right after a request, if that is not so already. */
static __always_inline void expect(struct packet *p, struct backend *backend, __u32 slot, enum flow_state state)
{
	struct flow wanted = {
		.last_seen = bpf_jiffies64(),
		.backend = backend->id,
		.slot = slot,
		.state = state,
		.direction = REPLIES,
		.ifindex = p->ingress,
	};
	union tuple key;
	struct flow *flow;

	__builtin_memcpy(wanted.mac, p->eth->h_source, ETH_ALEN);
	key_of_replies(p, backend, &key);
	flow = lookup(p, &key);
	if (flow && flow->backend == wanted.backend && flow->ifindex == wanted.ifindex &&
	    *(__u32 *)flow->mac == *(__u32 *)wanted.mac &&
	    *(__u16 *)(flow->mac + 4) == *(__u16 *)(wanted.mac + 4)) {
		flow->last_seen = wanted.last_seen;
		flow->state = state;
		return;
	}
	insert(p, &key, &wanted);
}

static __always_inline void expect_replies(struct packet *p, struct backend *backend, __u32 slot,
					   enum flow_state state)
{
	if (backend->forward == NAT)
		expect(p, backend, slot, state);
}

/* Ends what an entry for requests has beside it. */
static __always_inline void forget_replies(struct packet *p, struct flow *requests)
{
	__u32 slot = requests->slot;
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);
	union tuple key;

	if (!backend || backend->id != requests->backend || backend->forward != NAT)
		return;
	key_of_replies(p, backend, &key);
	forget(p, &key);
}

/* Notes a reply in both entries. */
static __always_inline void note_reply(struct flow *replies, union tuple *key, struct packet *p, struct vip *vip)
{
	enum flow_state state = is_fin(p) ? CLOSING : replies->state;
	__u64 now = bpf_jiffies64();
	union tuple other;
	struct flow *requests;

	if (replies->last_seen == now && replies->state == state && !is_rst(p))
		return;
	key_of_requests(p, vip, &other);
	if (is_rst(p)) {
		forget(p, &other);
		forget(p, key);
		return;
	}
	replies->last_seen = now;
	replies->state = state;
	requests = lookup(p, &other);
	if (!requests || requests->backend != replies->backend)
		return;
	requests->last_seen = now;
	if (state == CLOSING)
		requests->state = CLOSING;
}

#endif
