/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Out to a backend, by its way of forwarding.
 */
#ifndef LBCTL_DELIVER_H
#define LBCTL_DELIVER_H

#include "forward.h"
#include "stats.h"

static __always_inline int deliver(struct packet *p, struct backend *backend, enum verdict why)
{
	int action;

	decrement_ttl(p);
	action = forward(p, backend);
	return action == XDP_ABORTED ? leave(XDP_DROP, BROKEN) : leave(action, why);
}

#endif
