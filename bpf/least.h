/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The least loaded member, the first in the list among equals.
 *
 *   lc   net/netfilter/ipvs/ip_vs_lc.c    256 * active + inactive
 *   wlc  net/netfilter/ipvs/ip_vs_wlc.c   the same per weight
 *   sed  net/netfilter/ipvs/ip_vs_sed.c   (active + 1) per weight
 *   nq   net/netfilter/ipvs/ip_vs_nq.c    the first one without active, else sed
 */
#ifndef LBCTL_LEAST_H
#define LBCTL_LEAST_H

#include "members.h"

struct least {
	struct walk walk;
	enum policy policy;
	__u32 slot; /* NO_SLOT: none so far */
	__s32 load;
	__s32 weight;
};

/* Compares load per weight without a division. */
static __always_inline int is_lighter(__s32 load, __s32 weight, __s32 than, __s32 its_weight)
{
	return (__s64)load * its_weight < (__s64)than * weight;
}

static long vie(__u64 i, struct least *least)
{
	__u32 slot = step_to(&least->walk, i);
	struct backend *backend = backend_in(slot);
	__s32 load, weight;

	if (!backend || !takes(backend))
		return 0;
	weight = backend->weight;
	load = least->policy == SED || least->policy == NQ ? active_in(slot) + 1 : overhead_in(slot);
	if (least->policy == NQ && load == 1) {
		least->slot = slot;
		return 1;
	}
	if (least->slot != NO_SLOT) {
		if (least->policy == LC && (__u32)load >= (__u32)least->load)
			return 0;
		if (least->policy != LC && !is_lighter(load, weight, least->load, least->weight))
			return 0;
	}
	least->slot = slot;
	least->load = load;
	least->weight = weight;
	return 0;
}

__noinline __u32 least_loaded(struct service *service, enum policy policy)
{
	struct least least = { .policy = policy, .slot = NO_SLOT };

	if (!service)
		return NO_SLOT;
	least.walk = walk_of(service);
	bpf_loop(service->size, vie, &least, 0);
	return least.slot;
}

#endif
