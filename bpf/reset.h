/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A connection is cut whose backend was disabled, removed or found down, for a
 * service of lost: reset. Only the client's packets are sure to pass here, and of
 * one packet one can be made. So the first becomes a RST to the backend, with the
 * sequence number that the backend waits for; the client misses its answer, sends
 * again, and that is answered by a RST with the number that the client waits for
 * (RFC 5961 demands them exactly). The flow is CLOSED from the first on.
 */
#ifndef LBCTL_RESET_H
#define LBCTL_RESET_H

#include "apart.h"
#include "compose.h"
#include "decision.h"
#include "mtu.h"
#include "flow.h"

/* The packet becomes a RST of the same end, at the same place. Data that it bears is allowed (RFC 9293, 3.5.3). */
static __always_inline void turn_into_reset(struct packet *p)
{
	__be16 *word = (__be16 *)p->tcp + 6; /* data offset and flags */
	__be16 before = *word;

	((__u8 *)word)[1] = TCP_RST | (p->tcp->ack ? TCP_ACK : 0);
	amend(p, 0, change16(before, *word));
}

/* Bytes of sequence that the packet took: data, SYN and FIN. */
static __always_inline __u32 sequence_length(struct packet *p)
{
	__u32 headers = (p->six ? sizeof(*p->ip6) : sizeof(*p->ip)) + p->tcp->doff * 4;

	return p->bytes - headers + p->tcp->syn + p->tcp->fin;
}

/*
 * The answer to the packet, back where it came from. What stood behind the header
 * stays as padding, but not of many segments in one (GSO): an answer to each would
 * be sent.
 */
static __always_inline int answer_reset(struct packet *p)
{
	__be32 sequence = p->tcp->ack ? p->tcp->ack_seq : 0;
	__be32 acknowledged = bpf_htonl(bpf_ntohl(p->tcp->seq) + sequence_length(p));
	__u64 before;

	if (is_gso(p->ctx, p->hook) && !make_room(p, sizeof(*p->tcp)))
		return XDP_DROP;
	before = sum_of_headers(p, sizeof(*p->tcp));
	turn_around(p);
	set_length(p, sizeof(*p->tcp));
	p->tcp->seq = sequence;
	p->tcp->ack_seq = acknowledged;
	p->tcp->window = 0;
	set_flags(p, sizeof(*p->tcp), TCP_RST | TCP_ACK);
	close_segment(p, sizeof(*p->tcp), sizeof(*p->tcp), before);
	return XDP_TX;
}

/* The next packet of a flow that has lost its backend: what is to become of it. */
static __always_inline __u32 reset_flow(struct packet *p, struct flow *flow, __u64 owner)
{
	int first = state_of(owner) != CLOSED;
	struct backend *backend = first ? former_backend_of(owner) : NULL;

	if (backend) {
		if (!fits(p, backend->mtu))
			return to_slot(slot_of(owner), RESET_BACKEND); /* would not get there: its sender is told what does */
		flow->last_seen = clock();
		proceed(flow, owner, in_state(owner, CLOSED));
		if (!is_rst(p))
			turn_into_reset(p);
		return to_slot(slot_of(owner), RESET_BACKEND);
	}
	if (is_rst(p))
		return done(XDP_DROP, LOST_FLOW); /* both ends know */
	if (first)
		proceed(flow, owner, in_state(owner, CLOSED));
	return done(answer_reset(p), RESET_CLIENT);
}

static __always_inline __u32 reset_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	struct flow *flow;
	__u64 owner;

	if (parse_tcp(&p) != SOUND)
		return done(XDP_DROP, BROKEN);
	flow = flow_of(&p);
	owner = flow ? owner_in(flow) : TOMBSTONE;
	if (!is_live(owner))
		return done(XDP_DROP, LOST_FLOW);
	return reset_flow(&p, flow, owner);
}

APART(reset)

#endif
