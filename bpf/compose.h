/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * TCP segments that are made here out of others: a header, with options or
 * without, and no data. What they have in common are lengths and checksums.
 */
#ifndef LBCTL_COMPOSE_H
#define LBCTL_COMPOSE_H

#include "checksum.h"
#include "resize.h"
#include "transmit.h"

#define SHORTEST_FRAME 60 /* of Ethernet, without its checksum */

/* The bytes from the frame's begin to its TCP header, if nothing stands in between. */
static __always_inline __u32 before_tcp(struct packet *p)
{
	return sizeof(*p->eth) + (p->six ? sizeof(*p->ip6) : sizeof(*p->ip));
}

/* The most that a frame must grow here: the options of a SYN, or what fills up the shortest one. */
#define MOST_GROWTH 12

/*
 * Where there is no room behind a frame, as on a veth behind a bare ACK, which the
 * kernel puts at the end of its buffer, there is in front of it: its headers move.
 */
static __always_inline int grow_in_front(struct packet *p, __u32 wanted)
{
	const int words = (before_tcp(p) - sizeof(*p->eth) + sizeof(*p->tcp)) / 4;
	__be32 *to, *from;

	if (p->hook == TCX || wanted - length(p->ctx, p->hook) > MOST_GROWTH)
		return 0;
	p->eth = frame(p->ctx, p->hook);
	if ((void *)(p->eth + 1) > readable(p->ctx, p->hook) || !grow(p, MOST_GROWTH, 0))
		return 0;
	to = (void *)(p->eth + 1);
	from = to + MOST_GROWTH / 4;
	if ((void *)(from + words) > readable(p->ctx, p->hook))
		return 0;
	for (int i = 0; i < words; i++)
		to[i] = from[i];
	return length(p->ctx, p->hook) == wanted || cut(p, wanted);
}

/*
 * Is the frame long enough as it is? The kernel forgets the sum beside a packet that
 * is cut; what is behind stays as padding then. An interface that fills the checksum
 * in would sum that up, too.
 */
static __always_inline int may_be_longer(struct packet *p, __u32 wanted)
{
	__u32 is = length(p->ctx, p->hook);

	return is == wanted || (is > wanted && summed(p->ctx, p->hook) == CHECKSUM_COMPLETE && !is_gso(p->ctx, p->hook));
}

/*
 * The frame gets as long as this much of TCP needs, and its pointers are valid
 * again for that. Nothing is cut of a frame that would be too short for Ethernet.
 */
static __always_inline int make_room(struct packet *p, __u32 bytes)
{
	__u32 wanted = before_tcp(p) + bytes;

	if (wanted < SHORTEST_FRAME && p->hook != TCX) /* behind tcx drivers fill it up */
		wanted = SHORTEST_FRAME;
	if (!may_be_longer(p, wanted) && !cut(p, wanted) && !grow_in_front(p, wanted))
		return 0;
	if (parse_ip(p) != SOUND)
		return 0;
	p->tcp = p->six ? (void *)(p->ip6 + 1) : (void *)(p->ip + 1);
	return (void *)p->tcp + bytes <= readable(p->ctx, p->hook);
}

/* What the IP header and this much of TCP add up to, which is a constant and a multiple of 4. */
static __always_inline __u64 sum_of_headers(struct packet *p, __u32 bytes)
{
	return sum_of(p->tcp, bytes) + (p->six ? sum_of(p->ip6, sizeof(*p->ip6)) : sum_of(p->ip, sizeof(*p->ip)));
}

/* The packet goes back to where it came from. Checksums are still to follow. */
static __always_inline void turn_around(struct packet *p)
{
	struct address src = source(p), dst = destination(p);
	__u8 mac[ETH_ALEN];

	__builtin_memcpy(mac, p->eth->h_source, ETH_ALEN);
	__builtin_memcpy(p->eth->h_source, p->eth->h_dest, ETH_ALEN);
	__builtin_memcpy(p->eth->h_dest, mac, ETH_ALEN);
	if (p->six) {
		*(struct address *)&p->ip6->saddr = dst;
		*(struct address *)&p->ip6->daddr = src;
		p->ip6->hop_limit = OUR_TTL;
	} else {
		p->ip->saddr = dst.word[3];
		p->ip->daddr = src.word[3];
		p->ip->ttl = OUR_TTL;
	}
	p->tcp->source = p->dport;
	p->tcp->dest = p->sport;
}

/* The IP header says that so many bytes of TCP follow. */
static __always_inline void set_length(struct packet *p, __u32 bytes)
{
	if (p->six) {
		p->ip6->payload_len = bpf_htons(bytes);
		return;
	}
	p->ip->tot_len = bpf_htons(sizeof(*p->ip) + bytes);
	p->ip->check = 0;
	p->ip->check = mend(0xffff, sum_of(p->ip, sizeof(*p->ip)));
}

/*
 * The last step: the checksum over this much of TCP, a constant and a multiple of
 * 4, and over length bytes in all, of which those behind are 0. before is what
 * sum_of_headers() said of as much.
 */
static __always_inline void close_segment(struct packet *p, __u32 bytes, __u32 length, __u64 before)
{
	__u64 sum = p->six ? sum_of(&p->ip6->saddr, 32) : sum_of(&p->ip->saddr, 8);

	sum += bpf_htons(IPPROTO_TCP) + bpf_htons(length);
	p->tcp->check = 0;
	if (summed(p->ctx, p->hook) == CHECKSUM_PARTIAL) { /* whoever sends it sums up the rest */
		p->tcp->check = ~mend(0xffff, sum);
		return;
	}
	p->tcp->check = mend(0xffff, sum + sum_of(p->tcp, bytes));
	amend_bare(p, sum_of_headers(p, bytes) + (__u32)~narrow(before));
}

/* Data offset and flags of a TCP header that is this long. */
static __always_inline void set_flags(struct packet *p, __u32 header, __u8 flags)
{
	((__u8 *)p->tcp)[12] = header / 4 << 4;
	((__u8 *)p->tcp)[13] = flags;
	p->tcp->urg_ptr = 0;
}

#endif
