/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a request changes in the flow tables.
 */
#ifndef LBCTL_TRACK_H
#define LBCTL_TRACK_H

#include "apart.h"
#include "claim.h"
#include "news.h"
#include "replies.h"
#include "splice.h"

/* A packet that tells more of its flow than that it lives: another state, or where replies are to go. */
static __always_inline __u32 note_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	struct flow *flow;
	struct backend *backend;
	enum sight sight;
	enum flow_state was;
	struct peer client;
	__u64 owner;

	if (parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
		return 0;
	flow = flow_of(&p);
	if (!flow)
		return 0;
	owner = owner_in(flow);
	backend = is_live(owner) ? backend_of(owner) : NULL;
	if (!backend)
		return 0;
	sight = sight_of(backend);
	if (next_state(sight, flags_of(&p), state_of(owner)) != state_of(owner)) {
		was = state_of(owner);
		owner = advance(flow, owner, sight, flags_of(&p));
		if (was == OPENING && state_of(owner) == ESTABLISHED && !flow->delta)
			finish_at(backend); /* a cookie's was finished when it was shown */
		tell_of_request(&p, flow, owner);
	}
	if (backend->forward == FULLNAT)
		return 1; /* see renew_ip() */
	client = sender_of(&p);
	return expect_replies(&p, backend, &client, flow, owner);
}

/* The first packet of a jiffy under FULLNAT. False if the flow has lost its local port, and is no more. */
static __always_inline __u32 renew_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	struct backend *backend;
	struct flow *flow;
	struct peer local;
	__u64 owner;

	if (parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
		return 0;
	flow = flow_of(&p);
	if (!flow)
		return 0;
	owner = owner_in(flow);
	backend = is_live(owner) ? backend_of(owner) : NULL;
	if (!backend)
		return 0;
	if (read_local(flow, owner, &local, six) && expect_replies(&p, backend, &local, flow, owner)) {
		flow->last_seen = clock();
		return 1;
	}
	become(flow, owner, FORSAKEN);
	return 0;
}

APART(note)
APART(renew)

/*
 * Notes a packet of a flow that goes on. Memory is written only where it changes. False
 * if the flow has lost its local port, which is found out before this jiffy's first
 * packet is sent.
 */
static __always_inline int touch(struct flow *flow, __u64 owner, struct packet *p, struct backend *backend)
{
	__u32 now = clock();
	int same = next_state(sight_of(backend), flags_of(p), state_of(owner)) == state_of(owner);
	int replaced = backend->forward == FULLNAT;

	if (flow->last_seen == now && same && (!replaced || flow->pport))
		return 1;
	if (!replaced)
		flow->last_seen = now;
	if (!same || backend->forward == NAT)
		CALL_APART(note, p->ctx, p->hook, p->six);
	return !replaced || CALL_APART(renew, p->ctx, p->hook, p->six);
}

/* What came of remembering a flow. */
enum memory {
	REMEMBERED,
	TAKEN,  /* another CPU was first: the flow has the owner that it gave it */
	FORGOT, /* there is no room */
};

/* A flow's own entry changes its owner and its local end, or it may be given to another flow meanwhile: see owner.h. */
static __always_inline enum memory settle(struct flow *flow, __u64 *owner, struct flow *fresh, __u8 six)
{
	__u64 found = is_open(*owner) ? become(flow, *owner, SETTLING) : *owner;

	if (found != *owner || !is_open(found)) {
		*owner = found;
		return is_live(found) ? TAKEN : FORGOT;
	}
	flow->last_seen = fresh->last_seen;
	copy_joint(flow, fresh);
	set_peer_address(flow, peer_address_in(fresh, six), six);
	flow->pport = fresh->pport;
	flow->untold = fresh->untold;
	become(flow, SETTLING, fresh->owner);
	*owner = fresh->owner;
	return REMEMBERED;
}

/* A flow's own entry changes its owner: one that is over, or whose backend is. */
static __always_inline enum memory take_over(struct flow *flow, __u64 *owner, struct flow *fresh, __u8 six)
{
	__u64 found;

	if (!is_live(*owner))
		return settle(flow, owner, fresh, six);
	flow->last_seen = fresh->last_seen; /* first: the sweeper must not find the new owner idle */
	copy_joint(flow, fresh);
	found = become(flow, *owner, fresh->owner);
	if (found == *owner) {
		*owner = fresh->owner;
		return REMEMBERED;
	}
	*owner = found;
	return is_live(found) ? TAKEN : FORGOT;
}

/* A flow begins with an ACK that has a valid cookie as with the SYN that it stands for. */
static __always_inline void begin_with_cookie(struct packet *p, struct flow *fresh, int scaled)
{
	if (!can_be_read(p))
		return;
	fresh->owner = in_state(fresh->owner, OPENING);
	fresh->delta = bpf_ntohl(p->tcp->ack_seq) - 1;
	fresh->joint = AWAITED;
	fresh->shift = scaled ? OUR_SCALE : 0;
}

/* An entry that was not there. */
static __always_inline enum memory begin_at(struct packet *p, union tuple *key, __u64 *owner, struct flow *fresh)
{
	struct flow *flow;

	if (insert(p, key, fresh)) {
		*owner = fresh->owner;
		return REMEMBERED;
	}
	flow = lookup(p, key);
	if (!flow)
		return FORGOT;
	*owner = owner_in(flow);
	return is_live(*owner) ? TAKEN : FORGOT;
}

/*
 * Makes the backend the flow's. Of what was found for the packet, flow may be
 * NULL and *owner is the word read there; *owner is what is there in the end. For
 * FULLNAT see bind.h.
 */
static __always_inline enum memory remember(struct packet *p, union tuple *key, struct flow *flow, __u64 *owner,
					    struct backend *backend, __u32 slot, int by_cookie, int scaled)
{
	struct flow fresh = {
		.owner = owner_of(backend, slot, first_state(p, backend), REQUESTS),
		.last_seen = clock(),
	};
	struct peer client = sender_of(p);

	if (by_cookie)
		begin_with_cookie(p, &fresh, scaled);
	if (!expect_replies(p, backend, &client, &fresh, fresh.owner))
		return FORGOT;
	if (flow) {
		if (is_live(*owner) && id_of(*owner) != backend->id)
			forget_replies(p, *owner, &client);
		return take_over(flow, owner, &fresh, p->six);
	}
	return begin_at(p, key, owner, &fresh);
}

#endif
