/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The sweeper ends what is long idle. An entry found idle becomes a tombstone; a
 * tombstone that no packet has revived until the next sweep is buried and
 * deleted. See owner.h for why that takes two, with a wait in between.
 */
#ifndef LBCTL_SWEEP_H
#define LBCTL_SWEEP_H

#include "persist.h"

/*
 * A packet that has read the owner may write last_seen only after the judgement.
 * So that is looked at again once the owner is gone, which leaves the time from
 * the one CPU's write to the other's read, on a flow that was just idle for all of
 * its timeout.
 */
static __always_inline int expire(struct flow *flow, __u64 owner)
{
	if (!is_idle(*(volatile __u32 *)&flow->last_seen, state_of(owner)))
		return 0;
	if (become(flow, owner, TOMBSTONE) != owner)
		return 0;
	if (is_idle(*(volatile __u32 *)&flow->last_seen, state_of(owner)))
		return 1;
	return become(flow, TOMBSTONE, owner) != TOMBSTONE;
}

/* Ends the entry, or removes it if it has ended. True iff it lives on. */
static __always_inline int judge_flow(void *entry, __u32 number, __u8 six, struct tally *out)
{
	struct flow *flow = flow_in(entry, six);
	__u64 owner = owner_in(flow);

	if (owner == BURIED)
		return 0;
	if (is_live(owner)) {
		if (!expire(flow, owner)) {
			out->entries++;
			return 1;
		}
		out->expired++;
		out->resting++;
		return 0;
	}
	if (owner == SETTLING || owner == FORSAKEN) {
		if (owner == FORSAKEN)
			become(flow, FORSAKEN, TOMBSTONE);
		out->resting++;
		return 0;
	}
	if (owner == TOMBSTONE && become(flow, TOMBSTONE, BURIED) != TOMBSTONE) {
		out->entries++; /* a packet has just revived it */
		return 1;
	}
	remove(entry, number, six);
	out->deleted++;
	return 0;
}

/* What a round hands to each of its calls. */
struct round {
	struct tally found;
	__u32 part;   /* of the flow table */
	__u32 rearm;  /* jiffies */
	__u32 sticks; /* does any service have persistence? */
};

static __always_inline void judge_entry(void *entry, __u32 number, __u8 six, struct round *round)
{
	__u64 owner = owner_in(flow_in(entry, six));
	struct address client;

	if (!judge_flow(entry, number, six, &round->found) || !round->sticks || kind_of(owner) != REQUESTS)
		return;
	client = six ? ((struct entry6 *)entry)->key.src : mapped(((struct entry4 *)entry)->key.src);
	keep_template(client, owner, round->rearm);
}

static long judge_entry4(__u64 index, struct round *round)
{
	__u32 number = number_of(round->part, index);
	void *entry = entry_at(number, 0);

	if (entry)
		judge_entry(entry, number, 0, round);
	return !entry;
}

static long judge_entry6(__u64 index, struct round *round)
{
	__u32 number = number_of(round->part, index);
	void *entry = entry_at(number, 1);

	if (entry)
		judge_entry(entry, number, 1, round);
	return !entry;
}

static long judge_part4(__u64 part, struct round *round)
{
	round->part = part;
	bpf_loop(used(part, 0), judge_entry4, round, 0);
	return 0;
}

static long judge_part6(__u64 part, struct round *round)
{
	round->part = part;
	bpf_loop(used(part, 1), judge_entry6, round, 0);
	return 0;
}

/* Of no use any more: its service has no persistence, or its backend is removed. */
static __always_inline int is_void(struct clients *key, __u64 owner)
{
	__u32 slot = slot_of(owner);
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);

	return !persistence_of(key->service) || !backend || backend->id != id_of(owner);
}

/* Templates go the way of flows. */
static long judge_template(void *map, struct clients *key, struct template *template, struct round *round)
{
	struct tally *out = &round->found;
	__u64 owner = *(volatile __u64 *)&template->owner;

	if (is_live(owner)) {
		if ((__s32)(clock() - template->expires) <= 0 && !is_void(key, owner)) {
			out->entries++;
			return 0;
		}
		if (stick(template, owner, TOMBSTONE) == owner) {
			out->expired++;
			out->resting++;
		}
		return 0;
	}
	if (owner == TOMBSTONE && stick(template, TOMBSTONE, BURIED) != TOMBSTONE) {
		out->entries++;
		return 0;
	}
	bpf_map_delete_elem(map, key);
	out->deleted++;
	return 0;
}

#endif
