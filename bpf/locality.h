/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Backends that keep to destinations: for caches, which a destination shall find
 * warm. The choice among all is wlc's.
 *
 *   lblc   net/netfilter/ipvs/ip_vs_lblc.c    one for each destination
 *   lblcr  net/netfilter/ipvs/ip_vs_lblcr.c   a set, which grows under load
 *
 * The kernel forgets a destination by a timer, within half an hour after it was
 * not used for a day, and takes no more than 24 Ki of them per service. Here it
 * is forgotten a day after its last use, or when others need the room.
 */
#ifndef LBCTL_LOCALITY_H
#define LBCTL_LOCALITY_H

#include "least.h"

#ifndef NOW
#define NOW() bpf_jiffies64()
#endif

struct excess {
	struct walk walk;
	__u32 found;
};

static long is_idle_half(__u64 i, struct excess *excess)
{
	__u32 slot = step_to(&excess->walk, i);
	struct backend *backend = backend_in(slot);

	excess->found = backend && (__s32)((__u32)active_in(slot) * 2) < backend->weight;
	return excess->found;
}

/* Has a backend more active than its weight, while a member has fewer than half of its own? */
__noinline int is_beyond(struct service *service, __u32 slot)
{
	struct excess excess = {};
	struct backend *backend = backend_in(slot);

	if (!service || !backend || active_in(slot) <= backend->weight)
		return 0;
	excess.walk = walk_of(service);
	bpf_loop(service->size, is_idle_half, &excess, 0);
	return excess.found;
}

/* The backend in a place, NULL if it is none of the service's any more. */
static __always_inline struct backend *backend_at(struct place *place)
{
	struct backend *backend = backend_in(place->slot);

	return backend && backend->id == place->backend ? backend : NULL;
}

static __always_inline struct destination destination_of(struct service *service, struct request *request)
{
	return (struct destination){ .addr = request->destination, .service = service->index };
}

static __always_inline struct locality *find_locality(struct destination *key)
{
	struct locality *l = bpf_map_lookup_elem(&localities, key);
	__u64 now = NOW();

	if (!l || now > l->used + locality_expiration)
		return NULL;
	l->used = now;
	return l;
}

/* A copy to change: an entry is replaced whole, so that nobody meets half of it. */
static __always_inline struct locality *copy_of(struct locality *l)
{
	__u32 zero = 0;
	struct locality *copy = bpf_map_lookup_elem(&locality_copy, &zero);

	if (copy) {
		if (l)
			__builtin_memcpy(copy, l, sizeof(*copy));
		else
			__builtin_memset(copy, 0, sizeof(*copy));
		copy->used = NOW();
	}
	return copy;
}

/* Puts a backend into the first place; of a full set the last one falls out. */
static __always_inline void join(struct locality *l, __u32 slot)
{
	struct backend *backend = backend_in(slot);

	if (!backend)
		return;
	for (__u32 i = 0; i < PLACES; i++)
		if (i < l->count && l->places[i].slot == slot && l->places[i].backend == backend->id)
			return;
	for (__u32 i = PLACES - 1; i > 0; i--)
		l->places[i] = l->places[i - 1];
	l->places[0].slot = slot;
	l->places[0].backend = backend->id;
	if (l->count < PLACES)
		l->count++;
	l->modified = NOW();
}

__noinline __u32 local_one(struct service *service, struct request *request)
{
	if (!service || !request)
		return NO_SLOT;
	struct destination key = destination_of(service, request);
	struct locality *l = find_locality(&key), *next;
	struct backend *backend = l ? backend_at(&l->places[0]) : NULL;
	__u32 slot;

	/* The overload mark counts only where something is chosen anew. */
	if (l && backend && backend->weight > 0 && !is_beyond(service, l->places[0].slot))
		return l->places[0].slot;
	slot = least_loaded(service, WLC);
	if (slot == NO_SLOT || (l && backend && l->places[0].slot == slot))
		return slot;
	next = copy_of(NULL);
	if (next) {
		join(next, slot);
		bpf_map_update_elem(&localities, &key, next, BPF_ANY);
	}
	return slot;
}

/* The place of a set that is ahead of the others so far: in load, or in having none. */
struct race {
	struct locality *set;
	__u32 place; /* PLACES: none so far */
	__s32 load;
	__s32 weight;
};

static __always_inline void lead(struct race *race, __u32 i, struct backend *backend, __s32 load)
{
	race->place = i;
	race->load = load;
	race->weight = backend->weight;
}

static long vie_for_least(__u64 i, struct race *race)
{
	struct place *place = &race->set->places[i % PLACES];
	struct backend *backend = backend_at(place);
	__s32 load = overhead_in(place->slot);

	if (backend && takes(backend) &&
	    (race->place == PLACES || is_lighter(load, backend->weight, race->load, race->weight)))
		lead(race, i, backend, load);
	return 0;
}

/* The least loaded of a set. */
__noinline __u32 least_of(struct locality *l)
{
	struct race race = { .set = l, .place = PLACES };

	if (!l)
		return NO_SLOT;
	bpf_loop(l->count, vie_for_least, &race, 0);
	return race.place == PLACES ? NO_SLOT : l->places[race.place % PLACES].slot;
}

static long vie_for_most(__u64 i, struct race *race)
{
	struct place *place = &race->set->places[i % PLACES];
	struct backend *backend = backend_at(place);
	__s32 load = overhead_in(place->slot);

	if (backend && backend->weight > 0 &&
	    (race->place == PLACES || is_lighter(race->load, race->weight, load, backend->weight)))
		lead(race, i, backend, load);
	return 0;
}

/* Gives the most loaded place up, but none whose backend has weight 0. */
__noinline int shrink(struct locality *l)
{
	struct race race = { .set = l, .place = PLACES };

	if (!l)
		return 0;
	bpf_loop(l->count, vie_for_most, &race, 0);
	if (race.place == PLACES)
		return 0;
	for (__u32 i = 0; i < PLACES - 1; i++)
		if (i >= race.place)
			l->places[i] = l->places[i + 1];
	l->count--;
	l->modified = NOW();
	return 0;
}

__noinline __u32 local_set(struct service *service, struct request *request)
{
	if (!service || !request)
		return NO_SLOT;
	struct destination key = destination_of(service, request);
	struct locality *l = find_locality(&key), *next = NULL;
	__u32 slot = NO_SLOT;

	if (l) {
		slot = least_of(l);
		if (l->count > 1 && NOW() > l->modified + locality_expiration) {
			next = copy_of(l);
			if (next) {
				shrink(next);
				bpf_map_update_elem(&localities, &key, next, BPF_ANY);
			}
		}
		if (slot != NO_SLOT && !is_beyond(service, slot))
			return slot;
	}
	slot = least_loaded(service, WLC);
	if (slot == NO_SLOT)
		return slot;
	if (!next)
		next = copy_of(l);
	if (next) {
		join(next, slot);
		bpf_map_update_elem(&localities, &key, next, BPF_ANY);
	}
	return slot;
}

#endif
