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

#include "checksum.h"
#include "decision.h"
#include "mtu.h"
#include "resize.h"
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

/* Lengths and hop count of a packet that is a TCP header and no more. */
static __always_inline void cut_to_header(struct packet *p)
{
	if (p->six) {
		p->ip6->payload_len = bpf_htons(sizeof(*p->tcp));
		p->ip6->hop_limit = 64;
		return;
	}
	p->ip->tot_len = bpf_htons(sizeof(*p->ip) + sizeof(*p->tcp));
	p->ip->ttl = 64;
	p->ip->check = 0;
	p->ip->check = mend(0xffff, sum_of(p->ip, sizeof(*p->ip)));
}

/* What stands in the two headers adds up to this. */
static __always_inline __u64 sum_of_headers(struct packet *p)
{
	return sum_of(p->tcp, sizeof(*p->tcp)) + (p->six ? sum_of(p->ip6, sizeof(*p->ip6)) : sum_of(p->ip, sizeof(*p->ip)));
}

/*
 * The answer to the packet, back where it came from. What stood behind the header
 * stays as padding, but not of many segments in one (GSO): an answer to each would
 * be sent.
 */
static __always_inline int answer_reset(struct packet *p)
{
	struct address src = source(p), dst = destination(p);
	__u32 sequence = p->tcp->ack ? p->tcp->ack_seq : 0;
	__u32 acknowledged = bpf_htonl(bpf_ntohl(p->tcp->seq) + sequence_length(p));
	__u8 mac[ETH_ALEN];
	__u64 sum, before;

	if (is_gso(p->ctx, p->hook)) {
		if (!cut(p, sizeof(*p->eth) + (p->six ? sizeof(*p->ip6) : sizeof(*p->ip)) + sizeof(*p->tcp)) ||
		    parse_ip(p) != SOUND)
			return XDP_DROP;
		p->tcp = p->six ? (void *)(p->ip6 + 1) : (void *)(p->ip + 1);
		if ((void *)(p->tcp + 1) > readable(p->ctx, p->hook))
			return XDP_DROP;
	}
	before = sum_of_headers(p);

	__builtin_memcpy(mac, p->eth->h_source, ETH_ALEN);
	__builtin_memcpy(p->eth->h_source, p->eth->h_dest, ETH_ALEN);
	__builtin_memcpy(p->eth->h_dest, mac, ETH_ALEN);
	if (p->six) {
		*(struct address *)&p->ip6->saddr = dst;
		*(struct address *)&p->ip6->daddr = src;
	} else {
		p->ip->saddr = dst.word[3];
		p->ip->daddr = src.word[3];
	}
	cut_to_header(p);
	p->tcp->source = p->dport;
	p->tcp->dest = p->sport;
	p->tcp->seq = sequence;
	p->tcp->ack_seq = acknowledged;
	((__u8 *)p->tcp)[12] = sizeof(*p->tcp) / 4 << 4;
	((__u8 *)p->tcp)[13] = TCP_RST | TCP_ACK;
	p->tcp->window = 0;
	p->tcp->urg_ptr = 0;
	p->tcp->check = 0;
	sum = p->six ? sum_of(&p->ip6->saddr, 32) : sum_of(&p->ip->saddr, 8);
	sum += bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*p->tcp));
	if (summed(p->ctx, p->hook) == CHECKSUM_PARTIAL) { /* whoever sends it sums up the rest */
		p->tcp->check = ~mend(0xffff, sum);
		return XDP_TX;
	}
	p->tcp->check = mend(0xffff, sum + sum_of(p->tcp, sizeof(*p->tcp)));
	amend_bare(p, sum_of_headers(p) + (__u32)~narrow(before));
	return XDP_TX;
}

/* The next packet of a flow that has lost its backend: what is to become of it. */
static __always_inline __u32 reset(struct packet *p, struct flow *flow, __u64 owner)
{
	int first = state_of(owner) != CLOSED;
	struct backend *backend = first ? former_backend_of(owner) : NULL;

	if (backend) {
		if (!fits(p, backend->mtu))
			return to_slot(slot_of(owner), RESET_BACKEND); /* would not get there: its sender is told what does */
		flow->last_seen = clock();
		become(flow, owner, in_state(owner, CLOSED));
		if (!is_rst(p))
			turn_into_reset(p);
		return to_slot(slot_of(owner), RESET_BACKEND);
	}
	if (is_rst(p))
		return done(XDP_DROP, LOST_FLOW); /* both ends know */
	if (first)
		become(flow, owner, in_state(owner, CLOSED));
	return done(answer_reset(p), RESET_CLIENT);
}

#endif
