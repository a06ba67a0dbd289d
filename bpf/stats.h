/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Counting, per CPU and without atomics. A service's counters are the sum of
 * its backends', so each forwarded packet is counted in one place, and once
 * more for its verdict.
 */
#ifndef LBCTL_STATS_H
#define LBCTL_STATS_H

#include "maps.h"
#include "parse.h"

static __always_inline int leave(int action, enum verdict why)
{
	__u32 key = why;
	__u64 *packets = bpf_map_lookup_elem(&verdicts, &key);

	if (packets)
		++*packets;
	return action;
}

static __always_inline void count(__u32 slot, struct packet *p, __u32 connections)
{
	struct counters *c = bpf_map_lookup_elem(&traffic, &slot);

	if (!c)
		return;
	c->connections += connections;
	c->packets++;
	c->bytes += p->bytes;
}

static __always_inline void count_reply(__u32 slot, struct packet *p)
{
	struct counters *c = bpf_map_lookup_elem(&traffic, &slot);

	if (!c)
		return;
	c->packets_out++;
	c->bytes_out += p->bytes;
}

#endif
