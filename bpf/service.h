/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which backend is next: a service's table and its key.
 */
#ifndef LBCTL_SERVICE_H
#define LBCTL_SERVICE_H

#include "maps.h"
#include "parse.h"

/* MurmurHash3's fmix64 (Austin Appleby, public domain), as in balance.Hash. */
static __always_inline __u64 mix(__u64 h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	return h;
}

/* Of the client's address and a port: balance.Hash computes the same. */
static __always_inline __u32 hash_of(struct packet *p, __be16 port)
{
	__u64 high, low;
	struct address src;

	if (!p->six)
		return mix((__u64)bpf_ntohl(p->ip->saddr) << 16 | bpf_ntohs(port)) >> 32;
	src = source(p);
	high = (__u64)bpf_ntohl(src.word[0]) << 32 | bpf_ntohl(src.word[1]);
	low = (__u64)bpf_ntohl(src.word[2]) << 32 | bpf_ntohl(src.word[3]);
	return mix(mix(high) ^ low ^ bpf_ntohs(port)) >> 32;
}

static __always_inline __u32 table_key(struct service *service, struct packet *p)
{
	__u64 *turn;

	switch (service->key) {
	case SOURCE:
		return hash_of(p, 0);
	case CLIENT:
		return hash_of(p, p->sport);
	default:
		turn = bpf_map_lookup_elem(&turns, &service->index);
		/* Taken mod 2^32, so every 4 billion connections one turn may be out of order. */
		return turn ? __sync_fetch_and_add(turn, 1) : 0;
	}
}

/* A backend for something new. *slot is valid iff one is returned. */
static __always_inline struct backend *choose(struct service *service, struct packet *p, __u32 *slot)
{
	void *table = bpf_map_lookup_elem(&tables, &service->table);
	struct backend *backend;
	__u32 i, *entry;

	if (!table || !service->size)
		return NULL;
	i = table_key(service, p) % service->size;
	entry = bpf_map_lookup_elem(table, &i);
	if (!entry)
		return NULL;
	*slot = *entry;
	backend = bpf_map_lookup_elem(&backends, slot);
	return backend && backend->id ? backend : NULL;
}

/* A backend for what cannot be remembered: the same for each packet of a flow. */
static __always_inline struct backend *choose_by_hash(struct service *service, struct packet *p, __u32 *slot)
{
	void *table = bpf_map_lookup_elem(&tables, &service->table);
	struct backend *backend;
	__u32 i, *entry;

	if (!table || !service->size)
		return NULL;
	i = hash_of(p, p->sport) % service->size;
	entry = bpf_map_lookup_elem(table, &i);
	if (!entry)
		return NULL;
	*slot = *entry;
	backend = bpf_map_lookup_elem(&backends, slot);
	return backend && backend->id ? backend : NULL;
}

#endif
