/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Each member in its turn. The walk over the list goes on behind the member
 * chosen last.
 *
 *   rr   net/netfilter/ipvs/ip_vs_rr.c    the next one that takes something new
 *   wrr  net/netfilter/ipvs/ip_vs_wrr.c   the next one whose weight reaches a level,
 *        which sinks by a step after each walk and from the lowest begins anew
 *
 * Where a service stands is one word, so that CPUs take turns by compare-and-swap
 * and no turn is taken twice: the level in the high, the place in the low 32 bits
 * (0: the head of the list, else 1 + the index of the member chosen last).
 */
#ifndef LBCTL_TURNS_H
#define LBCTL_TURNS_H

#include "members.h"

/* When so many others were quicker, a turn is taken twice rather than not at all. */
#define ATTEMPTS 256

static __always_inline __u64 *cursor_of(struct service *service)
{
	__u32 table = service->table;

	return bpf_map_lookup_elem(&cursors, &table);
}

struct lap {
	struct walk walk;
	__u32 from;
	__u32 at;
	__u32 slot;
};

static long pass(__u64 i, struct lap *lap)
{
	__u32 at = lap->from + i, slot;

	if (at >= lap->walk.size)
		at -= lap->walk.size;
	slot = step_to(&lap->walk, at);
	if (!slot_takes(slot))
		return 0;
	lap->at = at;
	lap->slot = slot;
	return 1;
}

struct attempt {
	struct service *service;
	__u64 *cursor;
	__u32 slot;
};

static long try_turn(__u64 i, struct attempt *attempt)
{
	struct lap lap = { .walk = walk_of(attempt->service), .slot = NO_SLOT };
	__u64 old = *(volatile __u64 *)attempt->cursor;

	(void)i;
	lap.from = (__u32)old;
	bpf_loop(lap.walk.size, pass, &lap, 0);
	attempt->slot = lap.slot;
	return lap.slot == NO_SLOT ||
	       __sync_val_compare_and_swap(attempt->cursor, old, lap.at + 1) == old;
}

__noinline __u32 next_turn(struct service *service)
{
	struct attempt attempt = { .service = service, .slot = NO_SLOT };

	if (!service)
		return NO_SLOT;
	attempt.cursor = cursor_of(service);
	if (attempt.cursor)
		bpf_loop(ATTEMPTS, try_turn, &attempt, 0);
	return attempt.slot;
}

/* A search for a member that reaches the level. */
struct descent {
	struct walk walk;
	__u32 at;   /* 1 + the index looked at; 0: at the head */
	__u32 began; /* the same of the search's beginning */
	__u32 stop; /* where the search ends in vain; 0: nowhere yet */
	__s32 level;
	__s32 step;
	__s32 most;
	__s32 reach;  /* the greatest weight on this walk */
	__u8 whole;   /* this walk began at the head */
	__u8 lowest;  /* it is one on the lowest level */
	__u8 restarted;
	__u32 slot;
};

/*
 * At the end of the list the level sinks, and at once past those that nobody
 * reaches, though never past the lowest: the kernel walks each of them.
 */
static __always_inline long sink(struct descent *d)
{
	__u32 step = d->step, levels;

	d->level -= d->step;
	if (d->whole && d->level > d->reach) {
		levels = ((__u32)d->level - d->reach + step - 1) / step;
		if (levels > ((__u32)d->level - 1) / step)
			levels = ((__u32)d->level - 1) / step;
		d->level -= levels * step;
	}
	d->at = 0;
	d->reach = 0;
	d->whole = 1;
	if (d->level <= 0) {
		d->level = d->most;
		if (d->lowest || !d->began)
			return 1;
		d->restarted = 1;
	}
	d->lowest = d->level <= d->step;
	if (d->lowest && d->restarted)
		d->stop = d->began;
	return 0;
}

static long descend(__u64 i, struct descent *d)
{
	struct backend *backend;
	__s32 weight = 0;
	__u32 slot;

	(void)i;
	if (d->at >= d->walk.size)
		return sink(d);
	slot = step_to(&d->walk, d->at++);
	backend = backend_in(slot);
	if (backend && !(backend->flags & OVERLOADED))
		weight = backend->weight;
	if (weight >= d->level) {
		d->slot = slot;
		return 1;
	}
	if (weight > d->reach)
		d->reach = weight;
	return d->at == d->stop;
}

static long try_descent(__u64 i, struct attempt *attempt)
{
	__u64 old = *(volatile __u64 *)attempt->cursor;
	struct descent d = {
		.walk = walk_of(attempt->service),
		.at = old,
		.began = old,
		.level = old >> 32,
		.step = attempt->service->step,
		.most = attempt->service->most,
		.whole = !(__u32)old,
		.slot = NO_SLOT,
	};

	(void)i;
	/* The rest of a walk, then at most three whole ones on a level and back at the first. */
	bpf_loop(8 * (d.walk.size + 1), descend, &d, 0);
	attempt->slot = d.slot;
	return __sync_val_compare_and_swap(attempt->cursor, old, (__u64)(__u32)d.level << 32 | d.at) == old;
}

__noinline __u32 next_weighted_turn(struct service *service)
{
	struct attempt attempt = { .service = service, .slot = NO_SLOT };

	if (!service)
		return NO_SLOT;
	attempt.cursor = cursor_of(service);
	if (attempt.cursor && service->most)
		bpf_loop(ATTEMPTS, try_descent, &attempt, 0);
	return attempt.slot;
}

#endif
