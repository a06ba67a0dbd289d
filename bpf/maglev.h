/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The choice that needs no memory: packet after packet of a connection goes to
 * the same backend, on every balancer, and when a backend goes hardly any other's
 * connection moves. The table is balance.Table's, over the eligible backends.
 */
#ifndef LBCTL_MAGLEV_H
#define LBCTL_MAGLEV_H

#include "hash.h"
#include "members.h"

/* Weight 0 takes nothing new, and thresholds do not count. *slot is valid iff a backend is returned. */
static __always_inline struct backend *choose_by_hash(struct service *service, struct packet *p, __u32 *slot)
{
	__u32 first = (service->size + SLOTS_IN_LINE - 1) / SLOTS_IN_LINE * SLOTS_IN_LINE;

	if (!service->hashes)
		return NULL;
	*slot = slot_at(service->table, first + hash_of(p) % service->hashes);
	return backend_in(*slot);
}

#endif
