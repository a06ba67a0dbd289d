/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Persistence, as ip_vs_sched_persist() in ip_vs_core.c has it: a client's first
 * connection makes a template, the next ones go to the same backend, be it
 * overloaded, and each renews it. The owner word of a template lives as that of a
 * flow does (owner.h), and who wins a swap counts in loads' second word.
 *
 * IPVS keeps a template that is over, but has connections, for another minute, and
 * another. Here the sweeper does the same whenever it meets a live flow of a
 * service with persistence: see keep_template().
 */
#ifndef LBCTL_PERSIST_H
#define LBCTL_PERSIST_H

#include "flow.h"

static __always_inline struct clients clients_of(struct address client, struct persistence *how, __u32 service)
{
	struct clients key = { .service = service };
	struct address *mask = is_mapped(&client) ? &how->mask4 : &how->mask6;

	for (__u32 i = 0; i < 4; i++)
		key.net.word[i] = client.word[i] & mask->word[i];
	return key;
}

static __always_inline struct persistence *persistence_of(__u32 service)
{
	struct persistence *how = bpf_map_lookup_elem(&persistences, &service);

	return how && how->timeout ? how : NULL;
}

static __always_inline void count_template(__u64 owner, __u64 change)
{
	__u32 slot = slot_of(owner);
	struct load *load = is_live(owner) ? bpf_map_lookup_elem(&loads, &slot) : NULL;

	if (load)
		__sync_fetch_and_add(&load->templates, change);
}

/* What become() is for flows. */
static __always_inline __u64 stick(struct template *template, __u64 from, __u64 to)
{
	__u64 found = __sync_val_compare_and_swap(&template->owner, from, to);

	if (found == from) {
		count_template(from, -1);
		count_template(to, 1);
	}
	return found;
}

/* The slot of the backend that a client of the service sticks to, if it may begin something new there, or NO_SLOT. */
__noinline __u32 sticky(struct address *client, __u32 service)
{
	struct persistence *how = persistence_of(service);
	struct template *template;
	struct backend *backend;
	struct clients key;
	__u64 owner;

	if (!how || !client)
		return NO_SLOT;
	key = clients_of(*client, how, service);
	template = bpf_map_lookup_elem(&templates, &key);
	if (!template || (__s32)(clock() - template->expires) > 0)
		return NO_SLOT;
	owner = *(volatile __u64 *)&template->owner;
	backend = backend_of(owner);
	if (!backend || !(backend->flags & STICKS))
		return NO_SLOT;
	template->expires = clock() + how->timeout;
	return slot_of(owner);
}

/*
 * The client sticks to the backend from now on. If the table is full, or another
 * CPU was first with another backend, this connection alone goes there.
 */
static __always_inline void put_template(struct clients *key, struct template *fresh)
{
	struct template *template = bpf_map_lookup_elem(&templates, key);

	if (template) {
		template->expires = fresh->expires;
		stick(template, *(volatile __u64 *)&template->owner, fresh->owner);
		return;
	}
	count_template(fresh->owner, 1);
	if (bpf_map_update_elem(&templates, key, fresh, BPF_NOEXIST))
		count_template(fresh->owner, -1);
}

__noinline int make_template(struct address *client, __u32 service, __u64 owner)
{
	struct persistence *how = persistence_of(service);
	struct template fresh = { .owner = owner };
	struct clients key;

	if (!how || !client)
		return 0;
	key = clients_of(*client, how, service);
	fresh.expires = clock() + how->timeout;
	put_template(&key, &fresh);
	return 0;
}

/* A live flow's client sticks to the flow's backend for as long as the flow lives, save for up to a sweep. */
static __always_inline void keep_template(struct address client, __u64 owner, __u32 rearm)
{
	__u32 slot = slot_of(owner), until = clock() + rearm;
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);
	struct persistence *how = backend ? persistence_of(backend->service) : NULL;
	struct template *template;
	struct clients key;

	if (!how || backend->id != id_of(owner))
		return;
	key = clients_of(client, how, backend->service);
	template = bpf_map_lookup_elem(&templates, &key);
	if (template && id_of(template->owner) == id_of(owner) && (__s32)(until - template->expires) > 0 &&
	    (__s32)(clock() - template->expires) >= 0)
		template->expires = until;
}

#endif
