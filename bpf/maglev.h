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

/* A slot, or NO_SLOT. Weight 0 takes nothing new, and thresholds do not count. */
static __always_inline __u32 choose_by_hash(struct service *service, struct request *request)
{
	__u32 first = (service->size + SLOTS_IN_LINE - 1) / SLOTS_IN_LINE * SLOTS_IN_LINE;
	__u32 hash = hash_client(&request->client, request->port, !is_mapped(&request->client));

	return service->hashes ? slot_at(service->table, first + hash % service->hashes) : NO_SLOT;
}

#endif
