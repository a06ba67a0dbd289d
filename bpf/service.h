/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Whose packet is it, and which backend is next: addresses, services, tables.
 */
#ifndef LBCTL_SERVICE_H
#define LBCTL_SERVICE_H

#include "maps.h"
#include "parse.h"

/* Multiplicative hashing (Knuth, TAOCP 6.4); l4/filter.go computes the same. */
static __always_inline int may_concern(struct address *addr)
{
	__u32 fold = addr->word[0] ^ addr->word[1] ^ addr->word[2] ^ addr->word[3];
	__u32 bit = (fold * 2654435761u) >> 16;
	__u32 word = bit / 64;
	__u64 *bits = bpf_map_lookup_elem(&filter, &word);

	return bits && (*bits >> (bit % 64)) & 1;
}

/* A bridge that does not know a MAC address floods: frames to others arrive, too. */
static __always_inline int is_ours(struct packet *p)
{
	__u32 ingress = p->ingress; /* a pointer into *p would keep all of it in memory */
	struct port *port = bpf_map_lookup_elem(&ports, &ingress);

	return port && *(__u32 *)port->mac == *(__u32 *)p->eth->h_dest &&
	       *(__u16 *)(port->mac + 4) == *(__u16 *)(p->eth->h_dest + 4);
}

/* Is the packet for us at all? Only "no" is final: see refuse(). */
static __always_inline enum verdict accept(struct packet *p)
{
	struct address src = source(p), dst = destination(p);

	if (!may_concern(&dst) && !may_concern(&src))
		return NOT_VIP;
	if (!is_ours(p))
		return NOT_OURS;
	return SOUND;
}

/* The verdict of a packet that is not to be forwarded, once the filter let it in. */
static __always_inline enum verdict refuse(struct packet *p, enum verdict why)
{
	struct address dst = destination(p);

	return bpf_map_lookup_elem(&addresses, &dst) ? why : NOT_VIP;
}

static __always_inline struct service *find_service(struct packet *p)
{
	struct vip key = {
		.addr = destination(p),
		.port = p->dport,
		.proto = p->proto,
	};

	return bpf_map_lookup_elem(&services, &key);
}

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
