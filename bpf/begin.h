/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way of a packet whose flow is not known, is over, or has lost its backend.
 *
 * What cannot be remembered goes by a hash of the client, which leads each packet
 * of a flow to the same backend, without memory, as long as the backends stay the
 * same. A connection that is not remembered is adopted by that same hash, so what
 * was DEGRADED for want of room goes on at its backend once there is some, and
 * so does what a balancer beside this one has begun with its table full.
 */
#ifndef LBCTL_BEGIN_H
#define LBCTL_BEGIN_H

#include "apart.h"
#include "bind.h"
#include "decision.h"
#include "forward_dr.h"
#include "guard.h"
#include "mtu.h"
#include "persist.h"
#include "quic.h"
#include "reset.h"
#include "schedule.h"
#include "track.h"

/* What begins with this packet, if a backend for it is found. lost: it has a flow, but not its backend. */
static __always_inline enum verdict beginning(struct service *service, int lost, struct packet *p)
{
	if (service->flags & EACH_ANEW)
		return ONE_PACKET;
	if (is_rst(p))
		return STRAY_RESET;
	if (lost && !is_syn(p) && service->lost == MOVES)
		return MOVED_FLOW;
	return is_tcp(p) && !is_syn(p) ? ADOPTED : NEW_FLOW;
}

/*
 * What begins with the packet. Flow, if any, and the owner that was read there
 * have not led to a backend.
 */
static __always_inline __u32 admit(struct packet *p, struct service *service, struct flow *flow, __u64 owner)
{
	enum verdict why;
	__u32 slot = 0;
	int lost;

	if (service->flags & BY_CONNECTION_IDS && find_by_connection_id(p, service->index, &slot))
		return to_slot(slot, BY_CONNECTION_ID);
	lost = is_live(owner) && !begins_anew(flow, owner, p);
	if (lost && is_pending(flow, p))
		return to_slot(GUARDED, ADOPTED);
	if (lost && backend_of(owner))
		return to_slot(slot_of(owner), KNOWN_FLOW); /* another CPU was first */
	if (lost && service->lost == DROPS)
		return done(XDP_DROP, LOST_FLOW);
	if (lost && service->lost == RESETS && is_tcp(p))
		return to_slot(CUT, LOST_FLOW);
	why = beginning(service, lost, p);
	return to_slot(service->flags & DEFENDED && (why == ADOPTED || is_syn(p)) ? GUARDED : NO_CHOICE, why);
}

/* Does the policy itself need no memory? A balancer beside this one chooses alike then. */
static __always_inline int is_hashed(struct service *service)
{
	return service->policy == DH || service->policy == SH || service->policy == MH;
}

/*
 * A backend for what begins: the client's own, or the policy's choice, or that of
 * the hash. What is not remembered is no use where replies are to be translated.
 * Not static, and so verified once and not for each way that leads here.
 */
__noinline __u32 choose_for(struct service *service, struct request *request, __u32 why)
{
	int stateless = why == STRAY_RESET || why == DEGRADED;
	struct persistence *how = service ? persistence_of(service->index) : NULL;
	struct backend *backend;
	__u32 slot = NO_SLOT;

	if (!service || !request)
		return done(XDP_DROP, BROKEN);
	if (how)
		slot = sticky(&request->client, service->index);
	backend = backend_in(slot);
	if (!backend) {
		if (!is_hashed(service) && (why == ADOPTED || stateless))
			slot = choose_by_hash(service, request);
		else
			slot = schedule(service, request);
		backend = backend_in(slot);
		if (backend && how && !stateless)
			make_template(&request->client, service->index, owner_of(backend, slot, 0, STICKY));
	}
	if (!backend)
		return done(XDP_PASS, NO_BACKEND);
	if (why == DEGRADED && is_replying(backend))
		return done(XDP_DROP, NO_ROOM);
	if (why == COOKIE_VALID && !is_replying(backend))
		return done(XDP_DROP, COOKIE_WRONG); /* the service has just become another */
	if (why == STRAY_RESET && backend->forward == FULLNAT)
		return done(XDP_DROP, NO_LOCAL_PORT);
	return to_slot(slot, why);
}

static __always_inline __u32 choose_backend(struct packet *p, struct service *service, __u32 why)
{
	struct request request = {
		.client = source(p),
		.destination = destination(p),
		.port = p->sport,
	};

	return choose_for(service, &request, why);
}

/* The packet's backend, if it gets one and is not to be guarded first. absent: it has no entry in the flow table, as far as is known. */
static __always_inline __u32 admit_ip(void *ctx, enum hook hook, __u8 six, __u32 absent)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	struct service *service;
	union tuple key;
	struct flow *flow = NULL;
	__u64 owner = TOMBSTONE;
	__u32 decision;

	if (parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
		return done(XDP_DROP, BROKEN);
	service = find_service(&p);
	if (!service)
		return done(XDP_PASS, refuse(&p, NO_SERVICE));
	if (!absent)
		flow = find_flow(&p, &key);
	if (flow)
		owner = owner_in(flow);
	if (is_live(owner) && kind_of(owner) == REPLIES)
		return done(XDP_DROP, STALE_REPLY);
	decision = admit(&p, service, flow, owner);
	if (is_done(decision) || decided_slot(decision) != NO_CHOICE)
		return decision;
	return choose_backend(&p, service, decided_verdict(decision));
}

static __always_inline __u32 choose_ip(void *ctx, enum hook hook, __u8 six, __u32 why)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	struct service *service;

	if (parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
		return done(XDP_DROP, BROKEN);
	service = find_service(&p);
	return service ? choose_backend(&p, service, why) : done(XDP_PASS, NO_SERVICE);
}

static __always_inline __u32 remember_at(struct packet *p, struct backend *backend, __u32 decision, __u32 found)
{
	union tuple key;
	struct flow *flow = NULL;
	__u64 owner = TOMBSTONE;
	int by_cookie = decided_verdict(decision) == COOKIE_VALID;

	key_of_packet(p, &key);
	if (!(found & ABSENT))
		flow = lookup(p, &key);
	if (flow)
		owner = owner_in(flow);
	switch (remember(p, &key, flow, &owner, backend, decided_slot(decision), by_cookie, found & SCALED)) {
	case REMEMBERED:
		tell_of_request(p, NULL, owner);
		return decision;
	case TAKEN:
		if (!backend_of(owner))
			return FORGOTTEN;
		return to_slot(slot_of(owner), by_cookie ? COOKIE_AGAIN : KNOWN_FLOW);
	default:
		return FORGOTTEN;
	}
}

/* Is the packet one that a flow begins with, or goes on elsewhere? */
static __always_inline int is_kept(enum verdict why)
{
	return why == NEW_FLOW || why == MOVED_FLOW || why == ADOPTED || why == COOKIE_VALID || why == BY_CONNECTION_ID;
}

/* Remembers what was decided, counts, and sends what needs no more than other Ethernet addresses. */
static __always_inline __u32 keep_ip(void *ctx, enum hook hook, __u8 six, __u32 decision)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	__u32 slot = decided_slot(decision), found = decision & FOUND;
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);
	enum verdict why = decided_verdict(decision);
	int action;

	decision &= ~FOUND;
	if (!backend || parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
		return done(XDP_DROP, BROKEN);
	if (!fits(&p, backend->mtu))
		return decision; /* nothing begins with it: its sender is told */
	if (is_kept(why)) {
		if (backend->forward == FULLNAT)
			return TO_BE_BOUND;
		if (clashes(&p, backend))
			return done(XDP_DROP, NAT_CLASH);
		decision = remember_at(&p, backend, decision, found);
		if (decision == FORGOTTEN)
			return decision;
		why = decided_verdict(decision);
	}
	count(decided_slot(decision), &p,
	      why == ONE_PACKET || (is_kept(why) && why != BY_CONNECTION_ID) || (why == DEGRADED && is_syn(&p)));
	if (backend->forward != DIRECT || decided_slot(decision) != slot)
		return decision;
	decrement_ttl(&p);
	action = forward_dr(&p, backend);
	return action == XDP_ABORTED ? done(XDP_DROP, BROKEN) : done(action, why);
}

APART1(admit, __u32, absent)
APART1(choose, __u32, why)
APART1(keep, __u32, decision)

/* The same as admit() decides, of what is to be guarded. */
static __always_inline __u32 guarded(void *ctx, enum hook hook, __u8 six, enum verdict why, __u32 *found)
{
	__u32 decision = CALL_APART1(guard, ctx, hook, six, why);

	if (is_done(decision) || decided_slot(decision) != NO_CHOICE)
		return decision;
	*found |= decision & SCALED;
	return CALL_APART1(choose, ctx, hook, six, decided_verdict(decision));
}

/* The way of a packet whose flow does not say where it goes. */
static __always_inline __u32 begin(void *ctx, enum hook hook, __u8 six, __u32 absent)
{
	__u32 decision = CALL_APART1(admit, ctx, hook, six, absent), found = absent ? ABSENT : 0, kept;

	if (is_done(decision))
		return decision;
	if (decided_slot(decision) == CUT)
		decision = CALL_APART(reset, ctx, hook, six);
	else if (decided_slot(decision) == GUARDED)
		decision = guarded(ctx, hook, six, decided_verdict(decision), &found);
	if (is_done(decision))
		return decision;
	kept = CALL_APART1(keep, ctx, hook, six, decision | found);
	if (kept == TO_BE_BOUND)
		kept = bind_to_port(ctx, hook, six, decision | found);
	if (kept != FORGOTTEN)
		return kept;
	decision = CALL_APART1(choose, ctx, hook, six, DEGRADED);
	return is_done(decision) ? decision : CALL_APART1(keep, ctx, hook, six, decision);
}

#endif
