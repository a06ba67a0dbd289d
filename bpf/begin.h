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

#include "deliver.h"
#include "mtu.h"
#include "persist.h"
#include "quic.h"
#include "reset.h"
#include "service.h"
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

/* A backend for what begins: the client's own, or the policy's choice, or that of the hash. */
static __always_inline struct backend *choose_for(enum verdict why, struct service *service, struct packet *p,
						  __u32 *slot)
{
	struct backend *backend = sticky(service, p, slot);

	if (backend)
		return backend;
	if (why == ADOPTED || why == STRAY_RESET)
		backend = choose_by_hash(service, p, slot);
	else
		backend = choose(service, p, slot);
	if (backend && why != STRAY_RESET)
		make_template(service, p, backend, *slot);
	return backend;
}

/* Without memory. Under NAT that is no use. */
static __always_inline int degrade(struct packet *p, struct service *service)
{
	__u32 slot = 0;
	struct backend *backend = sticky(service, p, &slot);

	if (!backend)
		backend = choose_by_hash(service, p, &slot);
	if (!backend)
		return leave(XDP_PASS, NO_BACKEND);
	if (backend->forward == NAT)
		return leave(XDP_DROP, NO_ROOM);
	count(slot, p, is_syn(p));
	return deliver(p, backend, DEGRADED);
}

/* Flow, if any, and the owner that was read there have not led to a backend. */
static __always_inline int begin(struct packet *p, union tuple *key, struct flow *flow, __u64 owner)
{
	struct service *service = find_service(p);
	struct backend *backend;
	enum verdict why;
	__u32 slot = 0;
	int lost;

	if (!service)
		return leave(XDP_PASS, refuse(p, NO_SERVICE));
	backend = service->flags & BY_CONNECTION_IDS ? find_by_connection_id(p, service->index, &slot) : NULL;
	lost = !backend && flow && is_live(owner) && !begins_anew(flow, owner, p);
	if (lost && service->lost == DROPS)
		return leave(XDP_DROP, LOST_FLOW);
	if (lost && service->lost == RESETS && is_tcp(p))
		return reset(p, flow, owner);
	why = backend ? BY_CONNECTION_ID : beginning(service, lost, p);
	if (!backend)
		backend = choose_for(why, service, p, &slot);
	if (!backend)
		return leave(XDP_PASS, NO_BACKEND);
	if (clashes(p, backend))
		return leave(XDP_DROP, NAT_CLASH);
	if (!fits(p, backend->mtu))
		return tell(p, backend->mtu);
	if (why == STRAY_RESET || why == ONE_PACKET) {
		count(slot, p, why == ONE_PACKET);
		return deliver(p, backend, why);
	}
	switch (remember(p, key, flow, &owner, backend, slot)) {
	case FORGOT:
		return degrade(p, service);
	case TAKEN:
		backend = backend_of(owner);
		if (!backend)
			return degrade(p, service);
		count(slot_of(owner), p, 0);
		return deliver(p, backend, KNOWN_FLOW);
	case REMEMBERED:
		break;
	}
	count(slot, p, why != BY_CONNECTION_ID);
	return deliver(p, backend, why);
}

#endif
