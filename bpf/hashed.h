/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Buckets by a hash of an address. A backend that takes nothing new keeps its
 * buckets: who meets it is refused or, where the service falls back, sent on.
 *
 *   dh  net/netfilter/ipvs/ip_vs_dh.c   the destination
 *   sh  net/netfilter/ipvs/ip_vs_sh.c   the client, where asked for with its port
 *   mh  net/netfilter/ipvs/ip_vs_mh.c   the same, over a Maglev table
 *
 * Who has which bucket is computed in Go (internal/ipvs).
 */
#ifndef LBCTL_HASHED_H
#define LBCTL_HASHED_H

#include "members.h"
#include "parse.h"

#define MH_KEY 2654435761ULL

/* 32 bits of an address. */
static __always_inline __u32 fold(struct address *a)
{
	if (is_mapped(a))
		return bpf_ntohl(a->word[3]);
	return bpf_ntohl(a->word[0]) ^ bpf_ntohl(a->word[1]) ^ bpf_ntohl(a->word[2]) ^ bpf_ntohl(a->word[3]);
}

/* hash_32(), include/linux/hash.h, in 8 bits. */
static __always_inline __u32 hash8(__u32 v)
{
	return v * 0x61c88647u >> 24;
}

#define ROTATE(v, by) ((v) << (by) | (v) >> (64 - (by)))

static __always_inline void sip_round(__u64 *v)
{
	v[0] += v[1];
	v[1] = ROTATE(v[1], 13) ^ v[0];
	v[0] = ROTATE(v[0], 32);
	v[2] += v[3];
	v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTATE(v[1], 17) ^ v[2];
	v[2] = ROTATE(v[2], 32);
}

/* hsiphash_1u32(), lib/siphash.c: SipHash-1-3 under the key (MH_KEY, MH_KEY). */
static __always_inline __u32 sip(__u32 word)
{
	__u64 v[4] = {
		0x736f6d6570736575ULL ^ MH_KEY,
		0x646f72616e646f6dULL ^ MH_KEY,
		0x6c7967656e657261ULL ^ MH_KEY,
		0x7465646279746573ULL ^ MH_KEY,
	};
	__u64 last = 4ULL << 56 | word; /* 4: the length */

	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct hunt {
	enum policy policy;
	__u32 table;
	__u32 size;
	__u32 key;
	__u32 first; /* the bucket that the key leads to */
	__u32 slot;
};

/* The bucket that the key leads to from an offset. */
static __always_inline __u32 bucket_of(struct hunt *hunt, __u32 offset)
{
	__u32 to = hunt->policy == MH ? sip(hunt->key + offset) : hash8(hunt->key) + offset;

	return to % hunt->size;
}

static long hunt_on(__u64 i, struct hunt *hunt)
{
	__u32 slot = slot_at(hunt->table, bucket_of(hunt, (hunt->first + i) % hunt->size));

	if (slot != NO_SLOT && !slot_takes(slot))
		return 0;
	hunt->slot = slot;
	return 1;
}

__noinline __u32 bucket_for(struct service *service, struct request *request)
{
	if (!service || !request)
		return NO_SLOT;
	struct hunt hunt = {
		.policy = service->policy,
		.table = service->table,
		.size = service->size,
		.slot = NO_SLOT,
	};
	__u32 slot;

	if (!hunt.size)
		return NO_SLOT;
	if (hunt.policy == DH) {
		hunt.key = fold(&request->destination);
	} else {
		hunt.key = fold(&request->client);
		if (service->flags & HASHES_PORTS)
			hunt.key += bpf_ntohs(request->port);
	}
	hunt.first = bucket_of(&hunt, 0);
	slot = slot_at(hunt.table, hunt.first);
	if (slot_takes(slot))
		return slot;
	if (slot != NO_SLOT && hunt.policy != DH && service->flags & FALLS_BACK)
		bpf_loop(hunt.size, hunt_on, &hunt, 0);
	return hunt.slot;
}

#endif
