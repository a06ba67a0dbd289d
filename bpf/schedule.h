/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which backend gets something new: by the service's policy, or by a hash alone.
 */
#ifndef LBCTL_SCHEDULE_H
#define LBCTL_SCHEDULE_H

#include "hashed.h"
#include "least.h"
#include "locality.h"
#include "maglev.h"
#include "ordered.h"
#include "turns.h"
#include "twos.h"

/* The slot that the policy chooses, NO_SLOT if no backend takes anything new. */
static __always_inline __u32 schedule(struct service *service, struct request *request)
{
	switch (service->policy) {
	case RR:
		return next_turn(service);
	case WRR:
		return next_weighted_turn(service);
	case LC:
	case WLC:
	case SED:
	case NQ:
		return least_loaded(service, service->policy);
	case LBLC:
		return local_one(service, request);
	case LBLCR:
		return local_set(service, request);
	case DH:
	case SH:
	case MH:
		return bucket_for(service, request);
	case FO:
	case OVF:
		return heaviest_of(service);
	case TWOS:
		return better_of_two(service);
	}
	return NO_SLOT;
}

#endif
