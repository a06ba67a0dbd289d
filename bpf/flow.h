/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A packet's flow: which backend a connection has. See table.h for where it is
 * remembered, owner.h for the entries' life and states.h for what packets show.
 */
#ifndef LBCTL_FLOW_H
#define LBCTL_FLOW_H

#include "ether.h"
#include "insert.h"
#include "parse.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ports_of() gives ports and protocol as one word");

/* Ports and protocol, the last word of either key. */
static __always_inline __u64 ports_of(struct packet *p) { return p->sport | (__u32)p->dport << 16 | (__u64)p->proto << 32; }

static __always_inline const __u64 *addresses_of(struct packet *p)
{
	return AS_IT_LIES(__u64, p->six ? (void *)&p->ip6->saddr : (void *)&p->ip->saddr);
}

/*
 * The addresses are copied and the rest is put together eight bytes at a time: keys
 * are compared so, and a CPU must wait for what was written in smaller parts.
 */
static __always_inline void key_of_packet(struct packet *p, union tuple *key)
{
	const __u64 *addresses = addresses_of(p);
	int words = p->six ? 4 : 1;

	for (int i = 0; i < words; i++)
		key->word[i] = addresses[i];
	key->word[words] = ports_of(p);
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

/* The same, without a call and without a copy of the key. */
static __always_inline struct flow *flow_at_once(struct packet *p)
{
	return flow_at(find((struct wanted){ addresses_of(p), ports_of(p) }, p->six), p->six);
}

static __always_inline int is_tcp(struct packet *p) { return p->proto == IPPROTO_TCP; }
static __always_inline __u8 flags_of(struct packet *p) { return is_tcp(p) ? ((__u8 *)p->tcp)[13] : 0; }
static __always_inline int is_syn(struct packet *p) { return is_tcp(p) && p->tcp->syn; }
static __always_inline int is_rst(struct packet *p) { return is_tcp(p) && p->tcp->rst; }

/* The program's clock: jiffies, of which the low 32 bits tell times up to 99 days apart. */
static __always_inline __u32 clock_by(struct setting *s) { return bpf_jiffies64() + (s ? s->skew : 0); }

static __always_inline __u32 clock(void)
{
	__u32 zero = 0;

	return clock_by(bpf_map_lookup_elem(&settings, &zero));
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
static __always_inline int is_idle(__u32 last_seen, enum flow_state state)
{
	__u32 zero = 0;
	struct setting *s = bpf_map_lookup_elem(&settings, &zero);
	__u32 now = clock_by(s);

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
		       (!is_active(state_of(owner)) || is_idle(flow->last_seen, state_of(owner)));
	return is_idle(flow->last_seen, state_of(owner));
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
		found = proceed(flow, owner, to);
		if (found == owner)
			return to;
		if ((found ^ owner) & ~0xff00ULL)
			break; /* another backend's by now, or over */
		owner = found;
	}
	return owner;
}

#endif
