/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The sweeper ends what is long idle. An entry found idle becomes a tombstone; a
 * tombstone that no packet has revived until the next sweep is buried and
 * deleted. See owner.h for why that takes two, with a wait in between.
 */
#ifndef LBCTL_SWEEP_H
#define LBCTL_SWEEP_H

#include "flow.h"

/*
 * A packet that has read the owner may write last_seen only after the judgement.
 * So that is looked at again once the owner is gone, which leaves the time from
 * the one CPU's write to the other's read, on a flow that was just idle for all of
 * its timeout.
 */
static __always_inline int expire(struct flow *flow, __u64 owner)
{
	if (!is_idle(*(volatile __u32 *)&flow->last_seen, state_of(owner), clock()))
		return 0;
	if (become(flow, owner, TOMBSTONE) != owner)
		return 0;
	if (is_idle(*(volatile __u32 *)&flow->last_seen, state_of(owner), clock()))
		return 1;
	return become(flow, TOMBSTONE, owner) != TOMBSTONE;
}

static long judge_entry(void *map, void *key, struct flow *flow, struct tally *out)
{
	__u64 owner = owner_in(flow);

	if (is_live(owner)) {
		if (!expire(flow, owner)) {
			out->entries++;
			return 0;
		}
		out->expired++;
		out->resting++;
		return 0;
	}
	if (owner == TOMBSTONE && become(flow, TOMBSTONE, BURIED) != TOMBSTONE) {
		out->entries++;
		return 0;
	}
	bpf_map_delete_elem(map, key);
	out->deleted++;
	return 0;
}

#endif
