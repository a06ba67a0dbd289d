/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The second entry of a flow under NAT and FULLNAT, by which replies are recognised:
 * its key is the reply's tuple, from the backend's address and port to the client's,
 * or under FULLNAT to the local ones.
 *
 * Either direction tells the other's entry of itself once in a jiffy, so that
 * neither grows old alone.
 */
#ifndef LBCTL_REPLIES_H
#define LBCTL_REPLIES_H

#include "apart.h"
#include "ether.h"
#include "flow.h"
#include "news.h"
#include "peer.h"

/* The port of the backend that a request goes to. */
static __always_inline __be16 port_of(struct backend *backend, struct packet *p)
{
	return backend->port ? backend->port : p->dport;
}

/* The key of the replies to a request, as the backend sends them to its peer. */
static __always_inline void key_of_replies(struct packet *p, struct backend *backend, struct peer *peer, union tuple *key)
{
	if (p->six)
		key->v6 = (struct tuple6){
			.src = backend->addr,
			.dst = peer->addr,
			.sport = port_of(backend, p),
			.dport = peer->port,
			.proto = p->proto,
		};
	else
		key->v4 = (struct tuple4){
			.src = backend->addr.word[3],
			.dst = peer->addr.word[3],
			.sport = port_of(backend, p),
			.dport = peer->port,
			.proto = p->proto,
		};
}

/* The key of the requests that a reply answers. */
static __always_inline void key_of_requests(struct packet *p, struct flow *replies, union tuple *key)
{
	struct peer client = client_of(replies, p);
	struct address vip = vip_in(replies, p->six);

	if (p->six)
		key->v6 = (struct tuple6){
			.src = client.addr,
			.dst = vip,
			.sport = client.port,
			.dport = replies->vport,
			.proto = p->proto,
		};
	else
		key->v4 = (struct tuple4){
			.src = client.addr.word[3],
			.dst = vip.word[3],
			.sport = client.port,
			.dport = replies->vport,
			.proto = p->proto,
		};
}

/* Do the replies answer what the request was addressed to? */
static __always_inline int answers(struct flow *replies, struct packet *p)
{
	struct address dst = destination(p), vip = vip_in(replies, p->six);

	return replies->vport == p->dport && same(&vip, &dst);
}

/* Under FULLNAT: are they this client's, and not another's that has the same port? */
static __always_inline int is_claimed_by(struct flow *replies, struct packet *p)
{
	struct address src = source(p), peer = peer_address_in(replies, p->six);

	return replies->pport == p->sport && same(&peer, &src) && answers(replies, p);
}

/*
 * The backend would take the client's packets for those of a connection that it
 * has by another service, or by another address or port of this one: there the
 * tuple is the same. Under FULLNAT it never is.
 */
static __always_inline int clashes(struct packet *p, struct backend *backend)
{
	struct peer client = sender_of(p);
	union tuple key;
	struct flow *other;
	__u64 owner;

	if (backend->forward != NAT)
		return 0;
	key_of_replies(p, backend, &client, &key);
	other = lookup(p, &key);
	if (!other)
		return 0;
	owner = owner_in(other);
	if (!is_live(owner) || (id_of(owner) == backend->id && answers(other, p)))
		return 0;
	return (is_active(state_of(owner)) || state_of(owner) == DATAGRAMS) &&
	       !is_idle(other->last_seen, state_of(owner)) && backend_of(owner);
}

/* Compares with the packet what an entry for replies holds of it. */
static __always_inline int leads_back(struct flow *replies, struct packet *p)
{
	return answers(replies, p) && replies->ifindex == p->ingress && same_mac(replies->mac, p->eth->h_source);
}

static __always_inline void lead_back(struct flow *replies, struct packet *p)
{
	set_vip(replies, destination(p), p->six);
	replies->vport = p->dport;
	replies->ifindex = p->ingress;
	__builtin_memcpy(replies->mac, p->eth->h_source, ETH_ALEN);
}

/* Both entries of a flow say the same of how its ends differ. */
static __always_inline void copy_joint(struct flow *to, struct flow *from)
{
	if (!((to->delta ^ from->delta) | (to->joint ^ from->joint) | (to->shift ^ from->shift)))
		return;
	to->joint = from->joint;
	to->shift = from->shift;
	to->delta = from->delta;
}

/* Makes the entry for replies to a request, whose own entry is requests, with that owner. */
static __always_inline void fill_replies(struct flow *replies, struct packet *p, struct backend *backend,
					 struct flow *requests, __u64 owner)
{
	*replies = (struct flow){
		.owner = owner | REPLIES,
		.last_seen = clock(),
		.delta = requests->delta,
		.joint = requests->joint,
		.shift = requests->shift,
		.untold = requests->untold,
	};
	lead_back(replies, p);
	if (backend->forward != FULLNAT)
		return;
	set_peer_address(replies, source(p), p->six);
	replies->pport = p->sport;
}

/*
 * Makes the entry for replies to the backend's peer right after a request whose own entry
 * is requests, with that owner. False if the table has no room, or under FULLNAT the port
 * is another client's.
 */
static __always_inline int expect_replies(struct packet *p, struct backend *backend, struct peer *peer,
					  struct flow *requests, __u64 owner)
{
	struct flow wanted;
	union tuple key;
	struct flow *flow;
	__u64 found, wanted_owner = owner | REPLIES;

	if (!is_replying(backend))
		return 1;
	key_of_replies(p, backend, peer, &key);
	flow = lookup(p, &key);
	if (!flow) {
		fill_replies(&wanted, p, backend, requests, owner);
		if (insert(p, &key, &wanted))
			return 1;
		flow = lookup(p, &key);
		if (!flow)
			return 0;
	}
	found = owner_in(flow);
	if (!is_open(found) || (backend->forward == FULLNAT && !is_claimed_by(flow, p)))
		return 0;
	if (!is_live(found)) { /* or it may be given to another flow meanwhile: see owner.h */
		if (become(flow, found, SETTLING) != found)
			return is_live(owner_in(flow));
		found = SETTLING;
	}
	flow->last_seen = clock();
	if (!leads_back(flow, p))
		lead_back(flow, p);
	copy_joint(flow, requests);
	if (flow->untold != requests->untold)
		flow->untold = requests->untold;
	return found == wanted_owner || become(flow, found, wanted_owner) == found || owner_in(flow) != BURIED;
}

/* A flow has left this backend, whose replies to that peer are of no connection any more. */
static __always_inline void forget_replies(struct packet *p, __u64 requests, struct peer *peer)
{
	__u32 slot = slot_of(requests);
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);
	struct flow *flow;
	union tuple key;
	__u64 owner;

	if (!backend || backend->given != id_of(requests) || !is_replying(backend))
		return;
	key_of_replies(p, backend, peer, &key);
	flow = lookup(p, &key);
	if (!flow || (backend->forward == FULLNAT && !is_claimed_by(flow, p)))
		return;
	owner = owner_in(flow);
	if (id_of(owner) == id_of(requests))
		become(flow, owner, FORSAKEN);
}

/* Under FULLNAT, of the flow's own entry: has it the local end that the reply was sent to? */
static __always_inline int is_sent_to(struct flow *requests, struct packet *p)
{
	struct address dst = destination(p), peer = peer_address_in(requests, p->six);

	return requests->pport == p->dport && same(&peer, &dst);
}

/* A reply that tells of its flow more than that it lived at this very jiffy: noted in both entries. */
static __always_inline __u32 heed_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	union tuple key;
	struct flow *replies, *requests;
	__u64 owner, theirs;

	if (parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
		return 0;
	replies = find_flow(&p, &key);
	if (!replies)
		return 0;
	owner = owner_in(replies);
	if (!is_live(owner) || kind_of(owner) != REPLIES)
		return 0;
	replies->last_seen = clock();
	advance(replies, owner, OF_BACKEND, flags_of(&p));
	key_of_requests(&p, replies, &key);
	requests = lookup(&p, &key);
	if (!requests)
		return 0;
	theirs = owner_in(requests);
	if (id_of(theirs) != id_of(owner) || kind_of(theirs) != REQUESTS ||
	    (has_peer(replies, six) && !is_sent_to(requests, &p)))
		return 0;
	requests->last_seen = clock();
	if (replies->untold && !is_syn(&p))
		replies->untold = requests->untold = 0;
	owner = advance(requests, theirs, OF_BACKEND, flags_of(&p));
	if (owner != theirs)
		tell_of_reply(&p, replies, owner);
	return 0;
}

APART(heed)

static __always_inline void note_reply(struct flow *replies, __u64 owner, struct packet *p)
{
	if (replies->last_seen != clock() || replies->untold ||
	    next_state(OF_BACKEND, flags_of(p), state_of(owner)) != state_of(owner))
		CALL_APART(heed, p->ctx, p->hook, p->six);
}

#endif
