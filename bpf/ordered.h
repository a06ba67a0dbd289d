/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The heaviest member, the first in the list among equals.
 *
 *   fo   net/netfilter/ipvs/ip_vs_fo.c    of all
 *   ovf  net/netfilter/ipvs/ip_vs_ovf.c   of those with no more active than their weight
 */
#ifndef LBCTL_ORDERED_H
#define LBCTL_ORDERED_H

#include "members.h"

struct heaviest {
	struct walk walk;
	enum policy policy;
	__u32 slot;
	__s32 weight; /* 0: none so far */
};

static long lift(__u64 i, struct heaviest *heaviest)
{
	__u32 slot = step_to(&heaviest->walk, i);
	struct backend *backend = backend_in(slot);

	if (!backend || !takes(backend) || backend->weight <= heaviest->weight)
		return 0;
	if (heaviest->policy == OVF && active_in(slot) > backend->weight)
		return 0;
	heaviest->slot = slot;
	heaviest->weight = backend->weight;
	return 0;
}

__noinline __u32 heaviest_of(struct service *service)
{
	struct heaviest heaviest = { .slot = NO_SLOT };

	if (!service)
		return NO_SLOT;
	heaviest.walk = walk_of(service);
	heaviest.policy = service->policy;
	bpf_loop(service->size, lift, &heaviest, 0);
	return heaviest.slot;
}

#endif
