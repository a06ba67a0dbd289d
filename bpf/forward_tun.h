/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Tunnelling: the packet goes to the backend inside another one, over any number
 * of routers. The backend takes it out (decap.bpf.c), has the VIP on its loopback
 * and answers the client itself. Either family may be inside either.
 *
 * IPIP is an IP header around the packet (RFC 2003, 2473, 4213). GUE puts UDP in
 * between, in variant 1: the packet follows UDP at once, and its own version says
 * what it is (draft-ietf-intarea-gue, Linux's FOU with IPPROTO_IPIP).
 *
 * A network card spreads what it receives by outer addresses and ports. So each
 * flow has an outer source of its own: of IPIP the address, of GUE the port.
 *
 * The outer header takes over the traffic class with its ECN bits (RFC 6040,
 * normal mode). It forbids fragmentation, because nobody puts fragments together
 * at the other end; with that its identification means nothing (RFC 6864).
 */
#ifndef LBCTL_FORWARD_TUN_H
#define LBCTL_FORWARD_TUN_H

#include "checksum.h"
#include "hash.h"
#include "resize.h"
#include "transmit.h"

#define EPHEMERAL 0xc000 /* the first of the ports that are nobody's (RFC 6335) */

/* What must be known of the packet before the outer header is in front of it. */
struct inner {
	__u64 sum; /* of all its bytes, not folded; valid iff summed */
	__u32 hash;
	__u32 bytes;
	__u8 class;
	__u8 proto; /* as the outer header names it */
	__u8 summed;
};

static __always_inline __u8 traffic_class(struct packet *p)
{
	return p->six ? p->ip6->priority << 4 | p->ip6->flow_lbl[0] >> 4 : p->ip->tos;
}

static __always_inline struct inner inner_of(struct packet *p)
{
	return (struct inner){
		.hash = hash_of(p),
		.bytes = p->bytes,
		.class = traffic_class(p),
		.proto = p->six ? IPPROTO_IPV6 : IPPROTO_IPIP,
	};
}

/*
 * The sum of a packet is known without reading it. Its transport checksum makes
 * that part and the pseudo header come to 0, as IPv4's makes the IP header
 * (Documentation/networking/checksum-offloads.rst, local checksum offload). The
 * addresses, which are in the IPv6 header and the pseudo header, cancel out.
 */
static __always_inline void know_sum(struct packet *p, struct inner *inner)
{
	__u32 header = p->six ? sizeof(*p->ip6) : sizeof(*p->ip);

	inner->summed = 1;
	if (p->proto == IPPROTO_ICMP)
		return; /* has no pseudo header */
	if (p->proto == IPPROTO_UDP && (!p->udp->check || bpf_ntohs(p->udp->len) != p->bytes - header)) {
		inner->summed = 0; /* without a checksum, or with bytes behind the datagram */
		return;
	}
	inner->sum = (__u64)(__u32)~bpf_htonl(p->bytes - header) + (__u32)~bpf_htonl(p->proto);
	if (p->six)
		inner->sum += (__u64)*(__u32 *)p->ip6 + *((__u32 *)p->ip6 + 1);
	else
		inner->sum += (__u64)(__u32)~p->ip->saddr + (__u32)~p->ip->daddr;
}

static __always_inline __u32 outer_length(__u32 header, int gue)
{
	return header + (gue ? sizeof(struct udphdr) : 0);
}

/* The UDP header of GUE. The caller fills in the checksum, if there is to be one. */
static __always_inline void put_gue(struct udphdr *udp, struct inner *inner, __be16 port)
{
	*udp = (struct udphdr){
		.source = bpf_htons(EPHEMERAL | inner->hash >> 18),
		.dest = port,
		.len = bpf_htons(sizeof(*udp) + inner->bytes),
	};
}

/* gue is a constant, so that the length of the headers is one. */
static __always_inline int wrap4(struct packet *p, struct backend *backend, int gue)
{
	struct inner inner = inner_of(p);
	__u32 length = outer_length(sizeof(struct iphdr), gue);
	struct iphdr *ip;

	if (!grow(p, length, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | (gue ? BPF_F_ADJ_ROOM_ENCAP_L4_UDP : 0)))
		return XDP_ABORTED;
	p->eth->h_proto = bpf_htons(ETH_P_IP);
	ip = (void *)(p->eth + 1);
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = inner.class,
		.tot_len = bpf_htons(length + inner.bytes),
		.frag_off = bpf_htons(DONT_FRAGMENT),
		.ttl = OUR_TTL,
		.protocol = gue ? IPPROTO_UDP : inner.proto,
		.saddr = backend->source.word[3] | (bpf_htonl(inner.hash) & backend->vary),
		.daddr = backend->addr.word[3],
	};
	ip->check = mend(0xffff, sum_of(ip, sizeof(*ip)));
	if (gue) {
		put_gue((void *)(ip + 1), &inner, backend->gue); /* without checksum, which IPv4 allows */
		amend_bare(p, sum_of(ip + 1, sizeof(struct udphdr)));
	}
	return transmit(p, backend->ifindex, backend->mac);
}

/*
 * Over IPv6 UDP has a checksum, save where the packet inside has none that this
 * one could be told from (RFC 6935 allows tunnels that).
 */
static __always_inline void seal(struct ipv6hdr *ip6, struct udphdr *udp, struct inner *inner)
{
	if (!inner->summed)
		return;
	udp->check = mend(0xffff, inner->sum + sum_of(&ip6->saddr, 32) + bpf_htonl(IPPROTO_UDP) +
					  udp->len + udp->source + udp->dest + udp->len);
	if (!udp->check)
		udp->check = 0xffff;
}

static __always_inline int wrap6(struct packet *p, struct backend *backend, int gue)
{
	struct inner inner = inner_of(p);
	struct address source = backend->source;
	__u32 length = outer_length(sizeof(struct ipv6hdr), gue);
	struct ipv6hdr *ip6;

	if (gue)
		know_sum(p, &inner);
	if (!grow(p, length, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | (gue ? BPF_F_ADJ_ROOM_ENCAP_L4_UDP : 0)))
		return XDP_ABORTED;
	p->eth->h_proto = bpf_htons(ETH_P_IPV6);
	ip6 = (void *)(p->eth + 1);
	source.word[3] |= bpf_htonl(inner.hash) & backend->vary;
	/* Version, traffic class and, for routers that balance, a flow label (RFC 6438). */
	*(__be32 *)ip6 = bpf_htonl(6u << 28 | (__u32)inner.class << 20 | (inner.hash & 0xfffff));
	ip6->payload_len = bpf_htons(length - sizeof(*ip6) + inner.bytes);
	ip6->nexthdr = gue ? IPPROTO_UDP : inner.proto;
	ip6->hop_limit = OUR_TTL;
	*(struct address *)&ip6->saddr = source;
	*(struct address *)&ip6->daddr = backend->addr;
	if (gue) {
		put_gue((void *)(ip6 + 1), &inner, backend->gue);
		seal(ip6, (void *)(ip6 + 1), &inner);
	}
	amend_bare(p, sum_of(ip6, length));
	return transmit(p, backend->ifindex, backend->mac);
}

static __always_inline int forward_tun(struct packet *p, struct backend *backend)
{
	if (is_mapped(&backend->addr))
		return backend->gue ? wrap4(p, backend, 1) : wrap4(p, backend, 0);
	return backend->gue ? wrap6(p, backend, 1) : wrap6(p, backend, 0);
}

#endif
