/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From bytes to a packet. Each step returns SOUND or the verdict that ends the
 * packet's way here. Pointers in struct packet are valid iff all steps so far
 * said SOUND.
 */
#ifndef LBCTL_PARSE_H
#define LBCTL_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include "types.h"
#include "verdicts.h"

struct packet {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct tcphdr *tcp;
	__u32 bytes;   /* from the IP header on, without Ethernet padding */
	__u32 ingress; /* ifindex */
};

static __always_inline struct address mapped(__be32 v4)
{
	return (struct address){ { 0, 0, bpf_htonl(0xffff), v4 } };
}

/* The IPv4 header without options, as far as it is needed to see whose it is. */
static __always_inline enum verdict parse_ip(struct xdp_md *ctx, struct packet *p)
{
	void *end = (void *)(long)ctx->data_end;

	p->ingress = ctx->ingress_ifindex;
	p->eth = (void *)(long)ctx->data;
	if ((void *)(p->eth + 1) > end)
		return TRUNCATED_ETHERNET;
	if (p->eth->h_proto != bpf_htons(ETH_P_IP))
		return NOT_IPV4;
	p->ip = (void *)(p->eth + 1);
	if ((void *)(p->ip + 1) > end)
		return TRUNCATED_IP;
	if (p->ip->version != 4 || p->ip->ihl < 5)
		return BAD_IP_HEADER;
	return SOUND;
}

/* Loopback, "this network", multicast and reserved sources. */
static __always_inline int source_is_bad(__be32 src)
{
	__u8 first = bpf_ntohl(src) >> 24;

	return first == 0 || first == 127 || first >= 224;
}

/* The flags that nf_conntrack lets a client send; PSH, URG and ECN go with any. */
static __always_inline int flags_are_bad(struct tcphdr *tcp)
{
	if (tcp->syn)
		return tcp->ack || tcp->fin || tcp->rst;
	if (tcp->rst)
		return tcp->fin;
	return !tcp->ack;
}

/* What must hold of a packet to a service's address before it is forwarded. */
static __always_inline enum verdict parse_tcp(struct xdp_md *ctx, struct packet *p)
{
	void *end = (void *)(long)ctx->data_end;

	if (p->ip->protocol != IPPROTO_TCP)
		return OTHER_PROTOCOL;
	p->bytes = bpf_ntohs(p->ip->tot_len);
	if (p->bytes > end - (void *)p->ip || p->bytes < p->ip->ihl * 4)
		return BAD_IP_LENGTH;
	if (p->ip->ihl != 5)
		return HAS_IP_OPTIONS;
	if (p->ip->frag_off & bpf_htons(0x3fff)) /* more fragments, or an offset */
		return FRAGMENT;
	if (source_is_bad(p->ip->saddr))
		return BAD_SOURCE;
	p->tcp = (void *)(p->ip + 1);
	if ((void *)(p->tcp + 1) > end || p->bytes < sizeof(*p->ip) + sizeof(*p->tcp))
		return TRUNCATED_TCP;
	if (p->tcp->doff < 5 || sizeof(*p->ip) + p->tcp->doff * 4 > p->bytes)
		return BAD_TCP_OFFSET;
	if (flags_are_bad(p->tcp))
		return BAD_TCP_FLAGS;
	if (!p->tcp->source)
		return BAD_TCP_PORT;
	if (p->ip->saddr == p->ip->daddr && p->tcp->source == p->tcp->dest)
		return LAND;
	if (p->ip->ttl <= 1)
		return TTL_EXPIRED;
	return SOUND;
}

#endif
