/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The flow table: which backend a connection has, and what its client's packets
 * show of its state. Replies do not pass here, so a connection counts as
 * established with the first packet after the SYN.
 */
#ifndef LBCTL_FLOW_H
#define LBCTL_FLOW_H

#include "maps.h"
#include "parse.h"

static __always_inline struct tuple4 tuple_of(struct packet *p)
{
	return (struct tuple4){
		.src = p->ip->saddr,
		.dst = p->ip->daddr,
		.sport = p->tcp->source,
		.dport = p->tcp->dest,
		.proto = IPPROTO_TCP,
	};
}

/*
 * A SYN begins a new connection if the old one was seen to end or is long idle.
 * On any other flow it is a retransmission, or for the backend to refuse.
 */
static __always_inline int begins_anew(struct flow *flow, struct packet *p)
{
	return p->tcp->syn && (flow->state == CLOSING ||
			       bpf_jiffies64() - flow->last_seen > idle_jiffies);
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

static __always_inline enum flow_state next_state(enum flow_state state, struct packet *p)
{
	if (p->tcp->fin)
		return CLOSING;
	if (state == OPENING && !p->tcp->syn)
		return ESTABLISHED;
	return state;
}

/* Notes a packet of a flow that goes on. Memory is written only where it changes. */
static __always_inline void touch(struct flow *flow, struct tuple4 *key, struct packet *p)
{
	__u64 now = bpf_jiffies64();
	enum flow_state state = next_state(flow->state, p);

	if (p->tcp->rst) {
		bpf_map_delete_elem(&flows, key);
		return;
	}
	if (flow->last_seen != now)
		flow->last_seen = now;
	if (flow->state != state)
		flow->state = state;
}

/* If the table cannot take the flow, the service degrades to its policy's choice. */
static __always_inline void remember(struct tuple4 *key, struct packet *p, __u32 id, __u32 slot)
{
	struct flow flow = {
		.last_seen = bpf_jiffies64(),
		.backend = id,
		.slot = slot,
		.state = p->tcp->fin ? CLOSING : p->tcp->syn ? OPENING : ESTABLISHED,
	};

	bpf_map_update_elem(&flows, key, &flow, BPF_ANY);
}

#endif
