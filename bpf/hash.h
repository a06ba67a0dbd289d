/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A hash of a packet's client: what needs no memory to stay the same, packet
 * after packet of a connection.
 */
#ifndef LBCTL_HASH_H
#define LBCTL_HASH_H

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

/* Of a client's address and port: balance.Hash computes the same. */
static __always_inline __u32 hash_client(struct address *client, __be16 port, __u8 six)
{
	__u64 high, low;

	if (!six)
		return mix((__u64)bpf_ntohl(client->word[3]) << 16 | bpf_ntohs(port)) >> 32;
	high = (__u64)bpf_ntohl(client->word[0]) << 32 | bpf_ntohl(client->word[1]);
	low = (__u64)bpf_ntohl(client->word[2]) << 32 | bpf_ntohl(client->word[3]);
	return mix(mix(high) ^ low ^ bpf_ntohs(port)) >> 32;
}

/* Of the packet's. */
static __always_inline __u32 hash_of(struct packet *p)
{
	struct address client = source(p);

	return hash_client(&client, p->sport, p->six);
}

#endif
