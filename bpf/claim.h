/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Local ports under FULLNAT. A flow has one if there is an entry for the replies
 * to it, whose key is the tuple from the backend's address and port to the local
 * ones. So claiming a port is inserting that entry, which one CPU alone can do, and
 * one port serves as many flows as there are backends.
 *
 * An entry for replies is its client's until it is deleted: nobody takes over even
 * what is long idle. So no reply goes to another client, and a port rests after its
 * flow for as long as the flow is remembered, which with IPVS's timeouts is longer than
 * servers stay in TIME_WAIT. When both entries of a flow are idle they expire, each by
 * itself; what a flow finds of its port is looked at in each jiffy (see expect_replies()),
 * and one that has lost it begins anew.
 *
 * Which ports are tried depends on the client's address and port alone: a balancer
 * that remembers nothing gives a flow the port that it had, as a rule.
 */
#ifndef LBCTL_CLAIM_H
#define LBCTL_CLAIM_H

#include "apart.h"
#include "decision.h"
#include "hash.h"
#include "replies.h"
#include "toa.h"

#define TRIES 32

/* What claim() returns, but the number of a port of the backend's. */
#define KEPT (~0u)         /* the port that the flow has in its entry */
#define ALL_TAKEN (~0u - 1)
#define NO_ENTRY (~0u - 2) /* there is no room for it in the table, or another CPU is at the flow */

/* Local ends are numbered, each address' ports before the next one's; Go sees to it that 31 bits suffice. */
static __always_inline __u32 locals_of(struct backend *backend)
{
	return (bpf_ntohl(backend->vary) + 1) * backend->ports;
}

static __always_inline struct peer local_at(struct backend *backend, __u32 n)
{
	struct peer local = { .addr = backend->source };

	if (!backend->ports)
		return local;
	local.addr.word[3] |= bpf_htonl(n / backend->ports) & backend->vary;
	local.port = bpf_htons(backend->first_port + n % backend->ports);
	return local;
}

/* A search of local ends for one that is free. */
struct trial {
	struct flow wanted; /* the entry for replies */
	union tuple key;
	__u32 slot;
	__u32 n; /* the next one to try */
	__u32 step;
	__u32 found;
};

static __always_inline long try_port(struct trial *trial, __u8 six)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &trial->slot);
	struct packet p = { .six = six };
	struct peer local;
	__u32 locals;
	long failed;

	if (!backend)
		return 1;
	locals = locals_of(backend);
	local = local_at(backend, trial->n);
	if (six) {
		trial->key.v6.dst = local.addr;
		trial->key.v6.dport = local.port;
	} else {
		trial->key.v4.dst = local.addr.word[3];
		trial->key.v4.dport = local.port;
	}
	failed = try_insert(&p, &trial->key, &trial->wanted);
	if (failed != -EEXIST) {
		trial->found = failed ? NO_ENTRY : trial->n;
		return 1;
	}
	trial->n += trial->step;
	if (trial->n >= locals)
		trial->n -= locals;
	return 0;
}

static long try_port4(__u64 i, struct trial *trial)
{
	(void)i;
	return try_port(trial, 0);
}

static long try_port6(__u64 i, struct trial *trial)
{
	(void)i;
	return try_port(trial, 1);
}

/* One that was free, with an entry for replies of this owner. */
static __always_inline __u32 claim_any(struct packet *p, struct backend *backend, __u32 slot, __u64 requests)
{
	__u32 locals = locals_of(backend), hash = hash_of(p);
	struct trial trial = { .wanted.untold = is_telling(p, backend), .slot = slot, .step = 1, .found = ALL_TAKEN };
	struct peer none = {};

	if (!locals)
		return ALL_TAKEN;
	fill_replies(&trial.wanted, p, backend, &trial.wanted, requests);
	key_of_replies(p, backend, &none, &trial.key);
	trial.n = hash % locals;
	if (locals > TRIES)
		trial.step += mix(hash) % (locals - 1);
	if (p->six)
		bpf_loop(locals < TRIES ? locals : TRIES, try_port6, &trial, 0);
	else
		bpf_loop(locals < TRIES ? locals : TRIES, try_port4, &trial, 0);
	return trial.found;
}

/* A local port for the packet's flow at the backend that is decided on. */
static __always_inline __u32 claim_ip(void *ctx, enum hook hook, __u8 six, __u32 decision)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	__u32 slot = decided_slot(decision);
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);
	struct flow *flow = NULL;
	struct peer local;
	union tuple key;
	__u64 requests;

	if (!backend || parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
		return NO_ENTRY;
	requests = owner_of(backend, slot, first_state(&p, backend), REQUESTS);
	if (!(decision & ABSENT))
		flow = find_flow(&p, &key);
	if (flow) {
		if (!is_open(owner_in(flow)))
			return NO_ENTRY;
		struct flow fresh = { .untold = is_telling(&p, backend) };

		local = peer_in(flow, six);
		if (local.port && expect_replies(&p, backend, &local, &fresh, requests))
			return KEPT;
	}
	return claim_any(&p, backend, slot, requests);
}

APART1(claim, __u32, decision)

#endif
