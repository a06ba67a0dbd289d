/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a request changes in the flow tables.
 */
#ifndef LBCTL_TRACK_H
#define LBCTL_TRACK_H

#include "apart.h"
#include "news.h"
#include "replies.h"

/* A packet that tells more of its flow than that it lives: another state, or where replies are to go. */
static __always_inline __u32 note_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	union tuple key;
	struct flow *flow;
	struct backend *backend;
	enum sight sight;
	__u64 owner;

	if (parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
		return 0;
	flow = find_flow(&p, &key);
	if (!flow)
		return 0;
	owner = owner_in(flow);
	backend = is_live(owner) ? backend_of(owner) : NULL;
	if (!backend)
		return 0;
	sight = sight_of(backend);
	if (next_state(sight, flags_of(&p), state_of(owner)) != state_of(owner)) {
		owner = advance(flow, owner, sight, flags_of(&p));
		tell_of_request(&p, owner);
	}
	return expect_replies(&p, backend, owner);
}

APART(note)

/* Notes a packet of a flow that goes on. Memory is written only where it changes. */
static __always_inline void touch(struct flow *flow, __u64 owner, struct packet *p, struct backend *backend)
{
	__u32 now = clock();
	int same = next_state(sight_of(backend), flags_of(p), state_of(owner)) == state_of(owner);

	if (flow->last_seen == now && same)
		return;
	flow->last_seen = now;
	if (same && backend->forward != NAT)
		return;
	CALL_APART(note, p->ctx, p->hook, p->six);
}

/* What came of remembering a flow. */
enum memory {
	REMEMBERED,
	TAKEN,  /* another CPU was first: the flow has the owner that it gave it */
	FORGOT, /* there is no room */
};

/* A flow's own entry changes its owner: one that is over, or whose backend is. */
static __always_inline enum memory take_over(struct flow *flow, __u64 *owner, __u64 to)
{
	__u64 found;

	flow->last_seen = clock(); /* first: the sweeper must not find the new owner idle */
	found = become(flow, *owner, to);
	if (found == *owner) {
		if (flow->delta)
			flow->delta = 0;
		*owner = to;
		return REMEMBERED;
	}
	*owner = found;
	return is_live(found) ? TAKEN : FORGOT;
}

/*
 * Makes the backend the flow's. Of what was found for the packet, flow may be
 * NULL and *owner is the word read there; *owner is what is there in the end.
 */
static __always_inline enum memory remember(struct packet *p, union tuple *key, struct flow *flow, __u64 *owner,
					    struct backend *backend, __u32 slot)
{
	struct flow fresh = {
		.owner = owner_of(backend, slot, first_state(p, backend), REQUESTS),
		.last_seen = clock(),
	};

	if (!expect_replies(p, backend, fresh.owner))
		return FORGOT;
	if (flow) {
		if (is_live(*owner) && id_of(*owner) != backend->id)
			forget_replies(p, *owner);
		return take_over(flow, owner, fresh.owner);
	}
	if (insert(p, key, &fresh)) {
		*owner = fresh.owner;
		return REMEMBERED;
	}
	flow = lookup(p, key);
	if (!flow)
		return FORGOT;
	*owner = owner_in(flow);
	return is_live(*owner) ? TAKEN : FORGOT;
}

#endif
