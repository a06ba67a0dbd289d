/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The better of two drawn at random by weight.
 *
 *   twos  net/netfilter/ipvs/ip_vs_twos.c
 *
 * M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996.
 */
#ifndef LBCTL_TWOS_H
#define LBCTL_TWOS_H

#include "members.h"

/* A number below n, each as likely to 2^-32. */
#ifndef DRAW
#define DRAW(n) ((__u32)(((__u64)bpf_get_prandom_u32() << 32 | bpf_get_prandom_u32()) % (n)))
#endif

/* Sums and products wrap as the kernel's ints do. */
struct two {
	struct walk walk;
	__u32 sum;
	__u32 last; /* the last slot that takes something */
	__s32 rest[2];
	__u32 slot[2];
};

static long add_up(__u64 i, struct two *two)
{
	__u32 slot = step_to(&two->walk, i);
	struct backend *backend = backend_in(slot);

	if (!backend || !takes(backend))
		return 0;
	two->sum += backend->weight;
	two->last = slot;
	return 0;
}

static long deal(__u64 i, struct two *two)
{
	__u32 slot = step_to(&two->walk, i);
	struct backend *backend = backend_in(slot);

	if (!backend || !takes(backend))
		return 0;
	for (int k = 0; k < 2; k++) {
		if (two->slot[k] != NO_SLOT)
			continue;
		two->rest[k] = (__u32)two->rest[k] - backend->weight;
		if (two->rest[k] <= 0)
			two->slot[k] = slot;
	}
	return two->slot[0] != NO_SLOT && two->slot[1] != NO_SLOT;
}

__noinline __u32 better_of_two(struct service *service)
{
	struct two two = { .last = NO_SLOT, .slot = { NO_SLOT, NO_SLOT } };
	__u32 load = 0, weight = -1;
	struct backend *backend;

	if (!service)
		return NO_SLOT;
	two.walk = walk_of(service);
	bpf_loop(service->size, add_up, &two, 0);
	two.sum++;
	if (two.last == NO_SLOT || !two.sum) /* there the kernel divides by zero */
		return NO_SLOT;
	two.rest[0] = DRAW(two.sum);
	two.rest[1] = DRAW(two.sum);
	two.walk.line = NULL;
	bpf_loop(service->size, deal, &two, 0);
	if (two.slot[0] == NO_SLOT) { /* only if the sum has wrapped */
		two.slot[0] = two.last;
	} else {
		backend = backend_in(two.slot[0]);
		weight = backend ? backend->weight : 0;
		load = overhead_in(two.slot[0]);
	}
	backend = backend_in(two.slot[1]);
	if (backend && (__s32)(backend->weight * load) > (__s32)(weight * overhead_in(two.slot[1])))
		return two.slot[1];
	return two.slot[0];
}

#endif
