/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Out to a backend, by its way of forwarding.
 */
#ifndef LBCTL_DELIVER_H
#define LBCTL_DELIVER_H

#include "forward.h"
#include "stats.h"

/* The flow, which had the owner, may be NULL unless its backend is one of FULLNAT. */
static __always_inline int deliver(struct packet *p, struct backend *backend, struct flow *flow, __u64 owner,
				   enum verdict why)
{
	struct peer local;
	int action;

	if (backend->forward == FULLNAT) {
		if (!flow || !read_local(flow, owner, &local, p->six))
			return leave(XDP_DROP, NO_LOCAL_PORT);
		decrement_ttl(p);
		action = forward_fullnat(p, backend, &local);
	} else {
		decrement_ttl(p);
		action = forward(p, backend);
	}
	return action == XDP_ABORTED ? leave(XDP_DROP, BROKEN) : leave(action, why);
}

#endif
