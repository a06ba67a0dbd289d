/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a request changes in the flow tables.
 */
#ifndef LBCTL_TRACK_H
#define LBCTL_TRACK_H

#include "replies.h"

/* Notes a packet of a flow that goes on. Memory is written only where it changes. */
static __always_inline void touch(struct flow *flow, union tuple *key, struct packet *p, struct backend *backend)
{
	__u64 now = bpf_jiffies64();
	enum flow_state state = next_state(flow->state, p);

	if (is_rst(p)) {
		forget_replies(p, flow);
		forget(p, key);
		return;
	}
	if (flow->last_seen == now && flow->state == state)
		return;
	flow->last_seen = now;
	flow->state = state;
	expect_replies(p, backend, flow->slot, state);
}

static __always_inline void remember(union tuple *key, struct packet *p, struct backend *backend, __u32 slot)
{
	struct flow flow = {
		.last_seen = bpf_jiffies64(),
		.backend = backend->id,
		.slot = slot,
		.state = first_state(p),
	};

	insert(p, key, &flow);
	expect_replies(p, backend, slot, flow.state);
}

#endif
