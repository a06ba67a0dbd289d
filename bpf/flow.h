/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The flow tables: which backend a connection has, and what its packets show of
 * its state. Replies may not pass here, so a connection counts as established
 * with the client's first packet after the SYN.
 */
#ifndef LBCTL_FLOW_H
#define LBCTL_FLOW_H

#include "maps.h"
#include "parse.h"

/* The key of either table; the packet's family says which. */
union tuple {
	struct tuple4 v4;
	struct tuple6 v6;
};

static __always_inline struct tuple4 tuple4_of(struct packet *p)
{
	return (struct tuple4){
		.src = p->ip->saddr,
		.dst = p->ip->daddr,
		.sport = p->sport,
		.dport = p->dport,
		.proto = p->proto,
	};
}

static __always_inline struct tuple6 tuple6_of(struct packet *p)
{
	return (struct tuple6){
		.src = source(p),
		.dst = destination(p),
		.sport = p->sport,
		.dport = p->dport,
		.proto = p->proto,
	};
}

static __always_inline struct flow *lookup(struct packet *p, union tuple *key)
{
	return p->six ? bpf_map_lookup_elem(&flows6, &key->v6) : bpf_map_lookup_elem(&flows, &key->v4);
}

/* The packet's flow, if one is remembered. The key is valid in either case. */
static __always_inline struct flow *find_flow(struct packet *p, union tuple *key)
{
	if (p->six)
		key->v6 = tuple6_of(p);
	else
		key->v4 = tuple4_of(p);
	return lookup(p, key);
}

/* If the table cannot take the flow, the service degrades to its policy's choice. */
static __always_inline void insert(struct packet *p, union tuple *key, struct flow *flow)
{
	if (p->six)
		bpf_map_update_elem(&flows6, &key->v6, flow, BPF_ANY);
	else
		bpf_map_update_elem(&flows, &key->v4, flow, BPF_ANY);
}

static __always_inline void forget(struct packet *p, union tuple *key)
{
	if (p->six)
		bpf_map_delete_elem(&flows6, &key->v6);
	else
		bpf_map_delete_elem(&flows, &key->v4);
}

static __always_inline int is_tcp(struct packet *p) { return p->proto == IPPROTO_TCP; }
static __always_inline int is_syn(struct packet *p) { return is_tcp(p) && p->tcp->syn; }
static __always_inline int is_fin(struct packet *p) { return is_tcp(p) && p->tcp->fin; }
static __always_inline int is_rst(struct packet *p) { return is_tcp(p) && p->tcp->rst; }

static __always_inline int is_idle(struct flow *flow)
{
	return bpf_jiffies64() - flow->last_seen > timeouts[flow->state % FLOW_STATES];
}

/*
 * A SYN begins a new connection if the old one was seen to end or is long idle;
 * on any other flow it is a retransmission, or for the backend to refuse. With
 * UDP only time tells.
 */
static __always_inline int begins_anew(struct flow *flow, struct packet *p)
{
	if (is_tcp(p))
		return p->tcp->syn && (flow->state == CLOSING || is_idle(flow));
	return is_idle(flow);
}

/* The flow's backend, if the flow may go on there. */
static __always_inline struct backend *backend_of(struct flow *flow)
{
	__u32 slot = flow->slot;
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);

	if (!backend || backend->id != flow->backend || !(backend->flags & FORWARDS))
		return NULL;
	return backend;
}

static __always_inline enum flow_state first_state(struct packet *p)
{
	if (!is_tcp(p))
		return DATAGRAMS;
	return p->tcp->fin ? CLOSING : p->tcp->syn ? OPENING : ESTABLISHED;
}

static __always_inline enum flow_state next_state(enum flow_state state, struct packet *p)
{
	if (is_fin(p))
		return CLOSING;
	if (state == OPENING && !is_syn(p))
		return ESTABLISHED;
	return state;
}

#endif
