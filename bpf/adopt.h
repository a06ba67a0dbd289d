/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Flows that a balancer beside this one has, made ours before their packets
 * come. They are changed and accounted for as if packets had come, and not told on.
 *
 * Who has seen a packet last knows best: what is told of a flow that has had
 * one here since is ignored.
 *
 * Templates are not told of: a flow that is new here makes one, as it has there.
 */
#ifndef LBCTL_ADOPT_H
#define LBCTL_ADOPT_H

#include "persist.h"
#include "replies.h"

/* The key of a table of that family. IPv4 addresses are mapped ones in a tuple6. */
static __always_inline void key_of(struct tuple6 *tuple, __u8 six, union tuple *key)
{
	if (six)
		key->v6 = *tuple;
	else
		key->v4 = (struct tuple4){
			.src = tuple->src.word[3],
			.dst = tuple->dst.word[3],
			.sport = tuple->sport,
			.dport = tuple->dport,
			.proto = tuple->proto,
		};
}

/* Makes an entry this one. False if there is no room for it. */
static __always_inline int put(struct packet *p, union tuple *key, struct flow *fresh)
{
	struct flow *flow = lookup(p, key);
	__u64 found;

	if (!flow) {
		if (insert(p, key, fresh))
			return 1;
		flow = lookup(p, key);
		if (!flow)
			return 0;
	}
	found = owner_in(flow);
	if (is_live(found) && (__s32)(flow->last_seen - fresh->last_seen) > 0)
		return 1;
	if (!is_open(found))
		return 0;
	if (!is_live(found) || has_peer(fresh, p->six)) {
		if (become(flow, found, SETTLING) != found)
			return 0; /* a packet of the flow is here, which knows better */
		found = SETTLING;
	}
	flow->last_seen = fresh->last_seen; /* first: the sweeper must not find the new owner idle */
	if (kind_of(fresh->owner) == REPLIES) {
		set_vip(flow, vip_in(fresh, p->six), p->six);
		flow->vport = fresh->vport;
		flow->ifindex = fresh->ifindex;
		__builtin_memcpy(flow->mac, fresh->mac, ETH_ALEN);
	}
	copy_joint(flow, fresh);
	set_peer_address(flow, peer_address_in(fresh, p->six), p->six);
	flow->pport = fresh->pport;
	return found == fresh->owner || become(flow, found, fresh->owner) == found;
}

/* Under NAT and FULLNAT replies are expected, too, unless it is not known where they would go. */
static __always_inline int put_replies(struct packet *p, struct adoption *a, struct backend *backend, struct flow *fresh)
{
	struct tuple6 tuple = {
		.src = backend->addr,
		.dst = a->tuple.src,
		.sport = backend->port ? backend->port : a->tuple.dport,
		.dport = a->tuple.sport,
		.proto = a->tuple.proto,
	};
	struct flow replies = *fresh;
	union tuple key;

	if (!is_replying(backend) || !a->ifindex)
		return 1;
	if (backend->forward == FULLNAT) {
		if (!a->pport)
			return 0;
		tuple.dst = a->peer;
		tuple.dport = a->pport;
		set_peer_address(&replies, a->tuple.src, p->six);
		replies.pport = a->tuple.sport;
	}
	replies.owner |= REPLIES;
	set_vip(&replies, a->tuple.dst, p->six);
	replies.vport = a->tuple.dport;
	replies.ifindex = a->ifindex;
	__builtin_memcpy(replies.mac, a->mac, ETH_ALEN);
	key_of(&tuple, p->six, &key);
	return put(p, &key, &replies);
}

static __always_inline int knows(struct packet *p, union tuple *key, __u64 owner)
{
	struct flow *flow = lookup(p, key);
	__u64 found = flow ? owner_in(flow) : TOMBSTONE;

	return is_live(found) && id_of(found) == id_of(owner);
}

/* The client sticks to the flow's backend, unless it has made a later connection to another. */
static __always_inline void adopt_template(struct adoption *a, __u32 service)
{
	struct persistence *how = persistence_of(service);
	struct template fresh = { .owner = (a->owner & ~0xffffULL) | STICKY }, *template;
	struct clients key;

	if (!how)
		return;
	key = clients_of(a->tuple.src, how, service);
	fresh.expires = clock() - a->idle + how->timeout;
	template = bpf_map_lookup_elem(&templates, &key);
	if (template && is_live(*(volatile __u64 *)&template->owner) &&
	    (__s32)(template->expires - fresh.expires) > 0)
		return;
	put_template(&key, &fresh);
}

static __always_inline int adopt_as(struct adoption *a, __u8 six)
{
	struct packet p = { .six = six };
	struct flow fresh = {
		.owner = a->owner,
		.last_seen = clock() - a->idle,
		.delta = a->delta,
		.joint = JOINED,
		.shift = a->shift,
		.pport = a->pport,
	};
	struct backend *backend = backend_of(a->owner);
	union tuple key;
	int known;

	if (!backend)
		return 0;
	set_peer_address(&fresh, a->peer, six);
	key_of(&a->tuple, six, &key);
	known = knows(&p, &key, a->owner);
	if (!put_replies(&p, a, backend, &fresh) || !put(&p, &key, &fresh))
		return 0;
	if (!known)
		adopt_template(a, backend->service);
	return 1;
}

#endif
