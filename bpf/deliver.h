/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Out to a backend, by its way of forwarding.
 */
#ifndef LBCTL_DELIVER_H
#define LBCTL_DELIVER_H

#include "forward_dr.h"
#include "forward_nat.h"
#include "forward_tun.h"
#include "stats.h"

/* The next way of forwarding gets a header and a case. */
static __always_inline int forward(struct packet *p, struct backend *backend)
{
	switch (backend->forward) {
	case DIRECT:
		return forward_dr(p, backend);
	case NAT:
		return forward_nat(p, backend);
	case TUNNEL:
		return forward_tun(p, backend);
	}
	return XDP_ABORTED;
}

static __always_inline int deliver(struct packet *p, struct backend *backend, enum verdict why)
{
	int action;

	decrement_ttl(p);
	action = forward(p, backend);
	return action == XDP_ABORTED ? leave(XDP_DROP, BROKEN) : leave(action, why);
}

#endif
