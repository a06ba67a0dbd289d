/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Remembering a flow under FULLNAT: its entry gets the local end that was claimed
 * for it. What a flow gives up for another one it forgets, and so does who has claimed
 * one in vain.
 */
#ifndef LBCTL_BIND_H
#define LBCTL_BIND_H

#include "claim.h"
#include "decision.h"
#include "track.h"

/* Of what was found for the packet flow may be NULL, and *owner is as for remember(). */
static __always_inline enum memory bind_flow(struct packet *p, union tuple *key, struct flow *flow, __u64 *owner,
					     struct flow *fresh, int kept)
{
	enum memory got;

	if (!flow)
		return begin_at(p, key, owner, fresh);
	if (!kept)
		return settle(flow, owner, fresh, p->six);
	got = take_over(flow, owner, fresh, p->six);
	if (got == REMEMBERED)
		flow->untold = fresh->untold;
	return got;
}

/* Has another CPU been first, so that there is nothing to begin or to move any more? */
static __always_inline int goes_on(struct flow *flow, __u64 owner, struct packet *p, enum verdict why)
{
	return is_live(owner) && backend_of(owner) && !begins_anew(flow, owner, p) && why != COOKIE_VALID &&
	       why != BY_CONNECTION_ID;
}

/* The local end is the n-th of the backend's, or KEPT. */
static __always_inline __u32 bind_ip(void *ctx, enum hook hook, __u8 six, __u32 decision, __u32 n)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	__u32 slot = decided_slot(decision);
	enum verdict why = decided_verdict(decision);
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);
	struct peer was = {}, local;
	struct flow fresh = {}, *flow = NULL;
	union tuple key;
	enum memory got;
	__u64 before, owner;

	if (!backend || parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
		return done(XDP_DROP, BROKEN);
	key_of_packet(&p, &key);
	if (!(decision & ABSENT))
		flow = lookup(&p, &key);
	owner = before = flow ? owner_in(flow) : TOMBSTONE;
	if (flow)
		was = peer_in(flow, six);
	local = n == KEPT ? was : local_at(backend, n);
	fresh.owner = owner_of(backend, slot, first_state(&p, backend), REQUESTS);
	fresh.last_seen = clock();
	fresh.untold = is_telling(&p, backend);
	set_peer(&fresh, &local, six);
	if (why == COOKIE_VALID) {
		begin_with_cookie(&p, &fresh, decision & SCALED);
		expect_replies(&p, backend, &local, &fresh, fresh.owner);
	}
	if (flow && goes_on(flow, owner, &p, why))
		got = TAKEN;
	else
		got = flow || n != KEPT ? bind_flow(&p, &key, flow, &owner, &fresh, n == KEPT) : FORGOT;
	if (got != REMEMBERED) {
		if (n != KEPT || id_of(owner) != backend->id)
			forget_replies(&p, fresh.owner, &local);
		if (got == FORGOT || !backend_of(owner))
			return FORGOTTEN;
		count(slot_of(owner), &p, 0);
		return to_slot(slot_of(owner), why == COOKIE_VALID ? COOKIE_AGAIN : KNOWN_FLOW);
	}
	if (is_live(before) && id_of(before) != backend->id)
		forget_replies(&p, before, &was);
	tell_of_request(&p, &fresh, owner);
	count(slot, &p, why != BY_CONNECTION_ID);
	return decision & ~FOUND;
}

APART2(bind, __u32, decision, __u32, n)

/* The way of what begins under FULLNAT, once its backend is chosen. */
static __always_inline __u32 bind_to_port(void *ctx, enum hook hook, __u8 six, __u32 decision)
{
	__u32 n = CALL_APART1(claim, ctx, hook, six, decision);

	if (n == ALL_TAKEN)
		return done(XDP_DROP, NO_LOCAL_PORT);
	return n == NO_ENTRY ? FORGOTTEN : CALL_APART2(bind, ctx, hook, six, decision, n);
}

#endif
