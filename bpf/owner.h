/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Whose a flow is and in which state, in one word, and the accounts in loads.
 *
 * The word changes by compare-and-swap only, in become(), and whoever wins does
 * the accounting for the change from the one word to the other. So loads cannot
 * drift from the entries: each change of an entry has one winner, and the words
 * themselves say what to add and what to take off.
 *
 * The life of an entry: insertion with a live owner (accounted first, and taken
 * back if it fails); changes of state and of backend; TOMBSTONE, once it is
 * over; BURIED, and free right then. Only the sweeper buries and frees. A
 * packet may revive a tombstone, but never what is buried.
 *
 * An entry that is free is given to the next insertion at once, perhaps while a
 * packet on another CPU still holds the pointer that its look-up returned. (Templates are
 * in a hash table of the kernel's, where it is the same.)
 *
 *  - Between making a tombstone and burying it, the sweeper lets every run of the
 *    program end that began before (Go waits for that between two sweeps; for adopt() by
 *    the lock that it has of Go). So a run that has read a live owner does not see its
 *    entry freed under it.
 *  - A run that has read TOMBSTONE may. Then its swap from that fails, for the entry was
 *    BURIED before, and whoever has it now put a live owner there. Its own becoming
 *    a tombstone takes another wait.
 *  - A run whose look-up has found the entry, but which reads the owner after
 *    all of that, takes another flow for its own, for this one packet. That
 *    packet's flow had been idle for its whole timeout and two sweeps.
 *  - What a packet ends it leaves FORSAKEN, of which the sweeper makes a tombstone:
 *    only then the wait begins.
 *  - Even then, and were the waits forgotten, a swap that succeeds has replaced just
 *    the word that it has accounted for, whatever entry that was in.
 *
 * SETTLING locks an entry while what cannot change in one step is written: the local
 * end of a flow under FULLNAT, and all there is to write in an entry that is not live, which
 * could be freed, and be another flow's, in between. It is no live owner, and who finds it
 * gives way.
 */
#ifndef LBCTL_OWNER_H
#define LBCTL_OWNER_H

#include "maps.h"
#include "states.h"

/* IDs are never 0, so these are no owners. Zeros are a free entry. */
#define BURIED 0ULL
#define SETTLING 2ULL
#define FORSAKEN 3ULL
#define TOMBSTONE 4ULL
#define ACTIVE (1ULL << 32)

/* For Go, which learns only of types that something has. */
const enum flow_kind flow_kinds[] = { REQUESTS, REPLIES };

static __always_inline __u64 owner_of(struct backend *backend, __u32 slot, enum flow_state state, enum flow_kind kind)
{
	return (__u64)backend->id << 32 | slot << 16 | state << 8 | kind;
}

static __always_inline __u32 id_of(__u64 owner) { return owner >> 32; }
static __always_inline __u32 slot_of(__u64 owner) { return (__u32)owner >> 16; }
static __always_inline enum flow_state state_of(__u64 owner) { return (__u8)(owner >> 8); }
static __always_inline enum flow_kind kind_of(__u64 owner) { return (__u8)owner; }
static __always_inline int is_live(__u64 owner) { return id_of(owner) != 0; }

/* May a packet make the entry another's, or its own again? */
static __always_inline int is_open(__u64 owner) { return owner != BURIED && owner != SETTLING; }

/* The same owner's, in another state. */
static __always_inline __u64 in_state(__u64 owner, enum flow_state state)
{
	return (owner & ~0xff00ULL) | (__u32)state << 8;
}

/* Both may be read in between the two halves of a change, so they are signed and may be -1. */
static __always_inline __s32 inactive_of(__u64 flows) { return flows; }
static __always_inline __s32 active_of(__u64 flows) { return (flows - inactive_of(flows)) >> 32; }

/* What an entry adds to its backend's load. */
static __always_inline __u64 weight_of(__u64 owner)
{
	if (!is_live(owner) || kind_of(owner) != REQUESTS)
		return 0; /* see stick() for templates */
	return is_active(state_of(owner)) ? ACTIVE : 1;
}

/*
 * Sets or takes off the mark of a backend with that many flows, between the
 * thresholds neither: ip_vs_bind_dest() and ip_vs_unbind_dest() in ip_vs_conn.c.
 */
static __always_inline void judge(__u32 slot, __u64 load)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);
	__s32 flows = active_of(load) + inactive_of(load);
	__u32 lower;

	if (!backend || !(backend->upper || backend->flags & OVERLOADED))
		return;
	lower = backend->lower ? backend->lower : backend->upper - backend->upper / 4;
	if (backend->upper && flows >= (__s64)backend->upper) {
		if (!(backend->flags & OVERLOADED))
			__sync_fetch_and_or((__u32 *)&backend->flags, OVERLOADED);
	} else if (backend->flags & OVERLOADED && (!backend->upper || flows < (__s64)lower)) {
		__sync_fetch_and_and((__u32 *)&backend->flags, ~OVERLOADED);
	}
}

static __always_inline void weigh(__u32 slot, __u64 change, int judged)
{
	struct load *load = bpf_map_lookup_elem(&loads, &slot);
	__u64 before;

	if (!load)
		return;
	before = __sync_fetch_and_add(&load->flows, change);
	if (judged)
		judge(slot, before + change);
}

/*
 * One entry has changed from one owner to another. Only flows that begin or end are
 * judged. Not static, and so verified once and not for each step that changes owners.
 */
__noinline int account(__u64 from, __u64 to)
{
	__u64 less = weight_of(from), more = weight_of(to);

	if (less && more && slot_of(from) == slot_of(to)) {
		if (less != more)
			weigh(slot_of(to), more - less, 0);
		return 0;
	}
	if (less)
		weigh(slot_of(from), -less, 1);
	if (more)
		weigh(slot_of(to), more, 1);
	return 0;
}

static __always_inline __u64 owner_in(struct flow *flow)
{
	return *(volatile __u64 *)&flow->owner;
}

/* The owner that was found: from iff the flow has become another's. */
static __always_inline __u64 become(struct flow *flow, __u64 from, __u64 to)
{
	__u64 found = __sync_val_compare_and_swap(&flow->owner, from, to);

	if (found == from)
		account(from, to);
	return found;
}

/* The same for an owner that changes but its state, which is nothing to be judged. */
static __always_inline __u64 proceed(struct flow *flow, __u64 from, __u64 to)
{
	__u64 found = __sync_val_compare_and_swap(&flow->owner, from, to);

	if (found == from && weight_of(to) != weight_of(from))
		weigh(slot_of(to), weight_of(to) - weight_of(from), 0);
	return found;
}

#endif
