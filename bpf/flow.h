/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The flow tables: which backend a connection has. See owner.h for the entries'
 * life and states.h for what packets show.
 */
#ifndef LBCTL_FLOW_H
#define LBCTL_FLOW_H

#include "owner.h"
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

static __always_inline void key_of_packet(struct packet *p, union tuple *key)
{
	if (p->six)
		key->v6 = tuple6_of(p);
	else
		key->v4 = tuple4_of(p);
}

/* The packet's flow, if one is remembered. The key is valid in either case. */
static __always_inline struct flow *find_flow(struct packet *p, union tuple *key)
{
	key_of_packet(p, key);
	return lookup(p, key);
}

/* The same, for who needs no key: it takes less of the stack. */
static __always_inline struct flow *flow_of(struct packet *p)
{
	union tuple key;

	return find_flow(p, &key);
}

/*
 * 0, -EEXIST if the key is there, or another error if there is no room. The load is
 * counted first: whoever finds the entry may change it, and account for that.
 */
static __always_inline long try_insert(struct packet *p, union tuple *key, struct flow *flow)
{
	long failed;

	account(TOMBSTONE, flow->owner);
	if (p->six)
		failed = bpf_map_update_elem(&flows6, &key->v6, flow, BPF_NOEXIST);
	else
		failed = bpf_map_update_elem(&flows, &key->v4, flow, BPF_NOEXIST);
	if (failed)
		account(flow->owner, TOMBSTONE);
	return failed;
}

/* False if there is no room, or another CPU has inserted the key. */
static __always_inline int insert(struct packet *p, union tuple *key, struct flow *flow)
{
	return !try_insert(p, key, flow);
}

static __always_inline int is_tcp(struct packet *p) { return p->proto == IPPROTO_TCP; }
static __always_inline __u8 flags_of(struct packet *p) { return is_tcp(p) ? ((__u8 *)p->tcp)[13] : 0; }
static __always_inline int is_syn(struct packet *p) { return is_tcp(p) && p->tcp->syn; }
static __always_inline int is_rst(struct packet *p) { return is_tcp(p) && p->tcp->rst; }

/* The program's clock: jiffies, of which the low 32 bits tell times up to 99 days apart. */
static __always_inline __u32 clock(void)
{
	__u32 zero = 0;
	struct setting *s = bpf_map_lookup_elem(&settings, &zero);

	return bpf_jiffies64() + (s ? s->skew : 0);
}

/*
 * The backend of a flow that it may not go on with, as long as there is what a
 * last packet to it needs: a slot is not given away while it has flows.
 */
static __always_inline struct backend *former_backend_of(__u64 owner)
{
	__u32 slot = slot_of(owner);
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);

	return backend && backend->given == id_of(owner) && backend->ifindex ? backend : NULL;
}

/* Signed, since another CPU's packet may have come in after now was read. */
static __always_inline int is_idle(__u32 last_seen, enum flow_state state, __u32 now)
{
	__u32 zero = 0;
	struct setting *s = bpf_map_lookup_elem(&settings, &zero);

	return s && state < FLOW_STATES && (__s32)(now - last_seen) > (__s32)s->timeouts[state];
}

/*
 * A SYN begins a new connection if the old one was seen to end or is long idle;
 * on any other flow it is a retransmission, or for the backend to refuse. With
 * UDP only time tells.
 */
static __always_inline int begins_anew(struct flow *flow, __u64 owner, struct packet *p)
{
	if (is_tcp(p))
		return p->tcp->syn &&
		       (!is_active(state_of(owner)) || is_idle(flow->last_seen, state_of(owner), clock()));
	return is_idle(flow->last_seen, state_of(owner), clock());
}

/*
 * Is it only a cookie that can tell what the packet is? A RST ends what the flow has
 * been so far.
 */
static __always_inline int is_pending(struct flow *flow, struct packet *p)
{
	return flow->delta && flow->joint != JOINED && !is_rst(p);
}

/* The backend of a live owner, if the flow may go on there. */
static __always_inline struct backend *backend_of(__u64 owner)
{
	__u32 slot = slot_of(owner);
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);

	if (!backend || backend->id != id_of(owner) || !(backend->flags & FORWARDS))
		return NULL;
	return backend;
}

/* Do the backend's replies come back here? Only then can two ends be joined whose numbers differ. */
static __always_inline int is_replying(struct backend *backend)
{
	return backend->forward == NAT || backend->forward == FULLNAT;
}

static __always_inline enum sight sight_of(struct backend *backend)
{
	return is_replying(backend) ? OF_CLIENT : OF_CLIENT_ALONE;
}

static __always_inline enum flow_state first_state(struct packet *p, struct backend *backend)
{
	return is_tcp(p) ? next_state(sight_of(backend), flags_of(p), FIRST) : DATAGRAMS;
}

/*
 * The flow's state after a packet; the owner that it has then is returned. Tried
 * again if another CPU has changed the state in between, so that no FIN is lost.
 */
static __always_inline __u64 advance(struct flow *flow, __u64 owner, enum sight sight, __u8 flags)
{
	__u64 to, found;

	for (int i = 0; i < 4; i++) {
		to = in_state(owner, next_state(sight, flags, state_of(owner)));
		if (to == owner)
			break;
		found = become(flow, owner, to);
		if (found == owner)
			return to;
		if ((found ^ owner) & ~0xff00ULL)
			break; /* another backend's by now, or over */
		owner = found;
	}
	return owner;
}

#endif
