/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What does not fit on the way is not forwarded, and its sender is told what
 * does (path MTU discovery, RFC 1191 and 8201). Nothing is fragmented: nobody
 * could see the flow of a fragment, on a server that takes it out of a tunnel no
 * more than here. So senders of IPv4 packets that may be fragmented are told as
 * well; silence would be a hole to them.
 */
#ifndef LBCTL_MTU_H
#define LBCTL_MTU_H

#include "apart.h"
#include "checksum.h"
#include "icmp.h"
#include "resize.h"
#include "stats.h"
#include "transmit.h"

/* What is quoted of the packet: as much as one call of bpf_csum_diff() sums with the ICMP header. */
#define QUOTED 504

/* Per CPU, as of sysctl icmp_msgs_per_sec. */
#define ANSWERS_PER_SECOND 1000
#define SECOND 1000000000ULL

/* Segments in one have been cut to what the sender's way takes; it is told by whoever cuts them. */
static __always_inline int fits(struct packet *p, __u32 mtu)
{
	return p->bytes <= mtu || is_gso(p->ctx, p->hook);
}

/* May another answer be sent? The time from which it may moves on with each; it lags by a second at most. */
static __always_inline int may_answer(void)
{
	__u32 zero = 0;
	__u64 now = bpf_ktime_get_ns(), *from = bpf_map_lookup_elem(&told, &zero);

	if (!from || *from > now)
		return 0;
	if (now - *from > SECOND)
		*from = now - SECOND;
	*from += SECOND / ANSWERS_PER_SECOND;
	return 1;
}

/* Turns a frame around and makes its packet the quote behind this much of new headers. */
static __always_inline int quote(struct packet *p, __u32 headers)
{
	__u8 mac[ETH_ALEN];

	__builtin_memcpy(mac, p->eth->h_source, ETH_ALEN);
	__builtin_memcpy(p->eth->h_source, p->eth->h_dest, ETH_ALEN);
	__builtin_memcpy(p->eth->h_dest, mac, ETH_ALEN);
	if (p->bytes < QUOTED || !cut(p, sizeof(*p->eth) + QUOTED))
		return 0;
	p->eth = frame(p->ctx, p->hook);
	if ((void *)(p->eth + 1) > readable(p->ctx, p->hook) || !grow(p, headers, 0))
		return 0;
	if (p->hook == TCX && bpf_skb_pull_data(p->ctx, sizeof(*p->eth) + headers + QUOTED))
		return 0;
	p->eth = frame(p->ctx, p->hook);
	return (void *)(p->eth + 1) + headers + QUOTED <= readable(p->ctx, p->hook);
}

/* The answer bears the address that the packet was sent to: the one that its sender knows of. */
static __always_inline int answer_mtu4(struct packet *p, __u32 mtu)
{
	__be32 asked = p->ip->daddr, sender = p->ip->saddr;
	struct icmp *icmp;
	struct iphdr *ip;

	if (!quote(p, sizeof(*ip) + sizeof(*icmp)))
		return 0;
	ip = (void *)(p->eth + 1);
	icmp = (void *)(ip + 1);
	if ((void *)(icmp + 1) + QUOTED > readable(p->ctx, p->hook))
		return 0;
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = 0xc0, /* internetwork control (RFC 1812, section 4.3.2.5) */
		.tot_len = bpf_htons(sizeof(*ip) + sizeof(*icmp) + QUOTED),
		.frag_off = bpf_htons(DONT_FRAGMENT),
		.ttl = OUR_TTL,
		.protocol = IPPROTO_ICMP,
		.saddr = asked,
		.daddr = sender,
	};
	ip->check = mend(0xffff, sum_of(ip, sizeof(*ip)));
	*icmp = (struct icmp){ .type = UNREACHABLE4, .code = FRAGMENTATION_NEEDED, .rest = bpf_htonl(mtu) };
	icmp->check = mend(0xffff, bpf_csum_diff(NULL, 0, (__be32 *)icmp, sizeof(*icmp) + QUOTED, 0));
	amend_bare(p, sum_of(icmp, sizeof(*icmp)));
	return 1;
}

static __always_inline int answer_mtu6(struct packet *p, __u32 mtu)
{
	struct address asked = destination(p), sender = source(p);
	__u32 length = sizeof(struct icmp) + QUOTED;
	struct icmp *icmp;
	struct ipv6hdr *ip6;
	__u64 sum;

	if (!quote(p, sizeof(*ip6) + sizeof(*icmp)))
		return 0;
	ip6 = (void *)(p->eth + 1);
	icmp = (void *)(ip6 + 1);
	if ((void *)(icmp + 1) + QUOTED > readable(p->ctx, p->hook))
		return 0;
	*(__be32 *)ip6 = bpf_htonl(6u << 28);
	ip6->payload_len = bpf_htons(length);
	ip6->nexthdr = IPPROTO_ICMPV6;
	ip6->hop_limit = OUR_TTL;
	*(struct address *)&ip6->saddr = asked;
	*(struct address *)&ip6->daddr = sender;
	*icmp = (struct icmp){ .type = TOO_BIG6, .rest = bpf_htonl(mtu) };
	sum = (__u32)bpf_csum_diff(NULL, 0, (__be32 *)icmp, sizeof(*icmp) + QUOTED, 0);
	sum += sum_of(&ip6->saddr, 32) + bpf_htonl(length) + bpf_htonl(IPPROTO_ICMPV6);
	icmp->check = mend(0xffff, sum);
	amend_bare(p, sum_of(ip6, sizeof(*ip6)) + sum_of(icmp, sizeof(*icmp)));
	return 1;
}

/* The way of a packet that does not fit. */
static __always_inline __u32 tell_ip(void *ctx, enum hook hook, __u8 six, __u32 mtu)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	int may_be_split;

	if (parse_ip(&p) != SOUND || !may_answer())
		return leave(XDP_DROP, TOO_BIG_UNTOLD);
	p.bytes = six ? sizeof(*p.ip6) + bpf_ntohs(p.ip6->payload_len) : bpf_ntohs(p.ip->tot_len);
	may_be_split = !six && !(p.ip->frag_off & bpf_htons(DONT_FRAGMENT));
	if (!(six ? answer_mtu6(&p, mtu) : answer_mtu4(&p, mtu)))
		return leave(XDP_DROP, TOO_BIG_UNTOLD);
	return leave(XDP_TX, may_be_split ? TOO_BIG_NO_DF : TOO_BIG);
}

APART1(tell, __u32, mtu)

static __always_inline int tell(struct packet *p, __u32 mtu)
{
	return CALL_APART1(tell, p->ctx, p->hook, p->six, mtu);
}

#endif
