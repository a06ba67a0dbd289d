/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What a policy chooses from: the slots in a service's table, and what is known
 * of the backends in them.
 */
#ifndef LBCTL_MEMBERS_H
#define LBCTL_MEMBERS_H

#include "owner.h"

/* What is asked of a policy. */
struct request {
	struct address client;
	struct address destination;
	__be16 port; /* the client's */
	__u16 zero;
};

static __always_inline struct line *line_of(__u32 table, __u32 i)
{
	void *lines = bpf_map_lookup_elem(&tables, &table);

	return lines ? bpf_map_lookup_elem(lines, &i) : NULL;
}

/* NO_SLOT beyond the table's end. */
static __always_inline __u32 slot_at(__u32 table, __u32 i)
{
	struct line *line = line_of(table, i / SLOTS_IN_LINE);

	return line ? line->slot[i % SLOTS_IN_LINE] : NO_SLOT;
}

/* The backend in a slot, NULL if it has none any more. */
static __always_inline struct backend *backend_in(__u32 slot)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);

	return backend && backend->id ? backend : NULL;
}

static __always_inline int takes(struct backend *backend)
{
	return backend->weight > 0 && !(backend->flags & OVERLOADED);
}

static __always_inline int slot_takes(__u32 slot)
{
	struct backend *backend = backend_in(slot);

	return backend && takes(backend);
}

/*
 * The kernel counts connections in ints, and lets the sum below overflow; so
 * does this, for the same choices.
 */
static __always_inline __s32 active_in(__u32 slot)
{
	struct load *load = bpf_map_lookup_elem(&loads, &slot);

	return load ? active_of(load->flows) : 0;
}

/* An active connection weighs as 256 inactive ones (ip_vs_dest_conn_overhead). */
static __always_inline __s32 overhead_in(__u32 slot)
{
	struct load *load = bpf_map_lookup_elem(&loads, &slot);
	__u64 flows = load ? load->flows : 0;

	return (__u32)active_of(flows) * 256 + (__u32)inactive_of(flows);
}

/* A walk over members, which looks a line up only when it comes to one. */
struct walk {
	__u32 table;
	__u32 size;
	struct line *line;
};

static __always_inline struct walk walk_of(struct service *service)
{
	return (struct walk){ .table = service->table, .size = service->size };
}

/* The slot of member i; the one before was i - 1, or this is the first. */
static __always_inline __u32 step_to(struct walk *walk, __u32 i)
{
	if (!walk->line || i % SLOTS_IN_LINE == 0)
		walk->line = line_of(walk->table, i / SLOTS_IN_LINE);
	return walk->line ? walk->line->slot[i % SLOTS_IN_LINE] : NO_SLOT;
}

#endif
