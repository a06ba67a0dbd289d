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
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "hook.h"
#include "types.h"
#include "verdicts.h"

/* Of the headers that may stand before TCP or UDP in IPv6; linux/in6.h clashes with linux/in.h. */
enum extension {
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENTED = 44,
	DESTINATION = 60,
};

/* The bytes of hop-by-hop options that hold a jumbo payload option and no other (RFC 2675). */
#define JUMBO 8

struct packet {
	void *ctx;
	struct ethhdr *eth;
	struct iphdr *ip;    /* valid iff the family is IPv4 */
	struct ipv6hdr *ip6; /* valid iff it is IPv6 */
	struct tcphdr *tcp;  /* valid iff proto is IPPROTO_TCP */
	struct udphdr *udp;  /* valid iff it is IPPROTO_UDP */
	__u32 bytes;         /* from the IP header on, without Ethernet padding */
	__u32 ingress;       /* ifindex */
	__be16 sport;
	__be16 dport;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 six;   /* the family: 0 IPv4, 1 IPv6; a constant wherever it is asked, see balance_frame() */
	enum hook hook; /* so is this */
};

static __always_inline struct address mapped(__be32 v4)
{
	return (struct address){ { 0, 0, bpf_htonl(0xffff), v4 } };
}

static __always_inline int is_mapped(struct address *a)
{
	return !(a->word[0] | a->word[1] | (a->word[2] ^ bpf_htonl(0xffff)));
}

static __always_inline struct address source(struct packet *p)
{
	return p->six ? *(struct address *)&p->ip6->saddr : mapped(p->ip->saddr);
}

static __always_inline struct address destination(struct packet *p)
{
	return p->six ? *(struct address *)&p->ip6->daddr : mapped(p->ip->daddr);
}

static __always_inline int same(struct address *a, struct address *b)
{
	return !((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) | (a->word[2] ^ b->word[2]) |
		 (a->word[3] ^ b->word[3])); /* one branch instead of four */
}

static __always_inline enum verdict parse_ip4(void *end, struct packet *p)
{
	p->ip = (void *)(p->eth + 1);
	if ((void *)(p->ip + 1) > end)
		return TRUNCATED_IP;
	if (p->ip->version != 4 || p->ip->ihl < 5)
		return BAD_IP_HEADER;
	return SOUND;
}

static __always_inline enum verdict parse_ip6(void *end, struct packet *p)
{
	p->ip6 = (void *)(p->eth + 1);
	if ((void *)(p->ip6 + 1) > end)
		return TRUNCATED_IP;
	return p->ip6->version == 6 ? SOUND : BAD_IP_HEADER;
}

/* The IP header without options, as far as it is needed to see whose it is. */
static __always_inline enum verdict parse_ip(struct packet *p)
{
	void *end = readable(p->ctx, p->hook);

	p->ingress = ingress(p->ctx, p->hook);
	p->eth = frame(p->ctx, p->hook);
	return p->six ? parse_ip6(end, p) : parse_ip4(end, p);
}

/* Loopback, "this network", multicast and reserved sources. */
static __always_inline int is_bad4(__be32 src)
{
	__u8 first = bpf_ntohl(src) >> 24;

	return first == 0 || first == 127 || first >= 224;
}

/* Unspecified, loopback, IPv4-mapped and multicast sources. */
static __always_inline int is_bad6(struct address *src)
{
	if ((src->word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000))
		return 1;
	if (src->word[0] | src->word[1])
		return 0;
	return src->word[2] == bpf_htonl(0xffff) ||
	       (!src->word[2] && (!src->word[3] || src->word[3] == bpf_htonl(1)));
}

static __always_inline int is_transport(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP;
}

/* Bytes from the IP header on, with Ethernet padding. */
static __always_inline __u32 room(struct packet *p)
{
	return length(p->ctx, p->hook) - sizeof(*p->eth);
}

static __always_inline enum verdict check_ip4(struct packet *p)
{
	p->proto = p->ip->protocol;
	if (!is_transport(p->proto))
		return OTHER_PROTOCOL;
	p->bytes = bpf_ntohs(p->ip->tot_len);
	if (!p->bytes && is_gso(p->ctx, p->hook))
		p->bytes = room(p);
	if (p->bytes > room(p) || p->bytes < p->ip->ihl * 4)
		return BAD_IP_LENGTH;
	if (p->ip->ihl != 5)
		return HAS_IP_OPTIONS;
	if (p->ip->frag_off & bpf_htons(0x3fff)) /* more fragments, or an offset */
		return FRAGMENT;
	return is_bad4(p->ip->saddr) ? BAD_SOURCE : SOUND;
}

/* What is not TCP or UDP right after the IPv6 header. */
static __always_inline enum verdict check_extension(void *end, struct packet *p)
{
	__u8 *next = (void *)(p->ip6 + 1);

	switch (p->proto) {
	case FRAGMENTED:
		return (void *)(next + 1) <= end && is_transport(*next) ? FRAGMENT : OTHER_PROTOCOL;
	case HOP_BY_HOP:
	case ROUTING:
	case DESTINATION:
	case IPPROTO_AH:
		return HAS_IP_OPTIONS;
	}
	return OTHER_PROTOCOL;
}

/* Does the kernel's own option for a packet beyond 64 KB stand before TCP? */
static __always_inline int is_jumbo(void *end, struct packet *p)
{
	__u8 *next = (void *)(p->ip6 + 1);

	return is_gso(p->ctx, p->hook) && p->ip6->nexthdr == HOP_BY_HOP && !p->ip6->payload_len &&
	       (void *)(next + JUMBO) <= end && next[0] == IPPROTO_TCP && !next[1] && next[2] == 194 && next[3] == 4;
}

/* *header is the length of all that stands before TCP or UDP. */
static __always_inline enum verdict check_ip6(void *end, struct packet *p, __u32 *header)
{
	struct address src = source(p);

	p->proto = p->ip6->nexthdr;
	if (is_jumbo(end, p)) {
		p->proto = IPPROTO_TCP;
		p->bytes = room(p);
		*header += JUMBO;
		return is_bad6(&src) ? BAD_SOURCE : SOUND;
	}
	if (!is_transport(p->proto))
		return check_extension(end, p);
	p->bytes = sizeof(*p->ip6) + bpf_ntohs(p->ip6->payload_len);
	if (p->bytes > room(p))
		return BAD_IP_LENGTH;
	return is_bad6(&src) ? BAD_SOURCE : SOUND;
}

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define TCP_TELLING (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK) /* PSH, URG and ECN go with any */

/* What nf_conntrack lets a client send, a bit for each combination of these. */
#define CLIENTS_FLAGS                                                                                  \
	(1u << TCP_SYN | 1u << TCP_ACK | 1u << (TCP_FIN | TCP_ACK) | 1u << TCP_RST | 1u << (TCP_RST | TCP_ACK))

static __always_inline int has_bad_flags(struct packet *p)
{
	return p->proto == IPPROTO_TCP && !(CLIENTS_FLAGS >> (((__u8 *)p->tcp)[13] & TCP_TELLING) & 1);
}

/* length counts from the TCP header on. */
static __always_inline enum verdict check_tcp(void *end, struct packet *p, __u32 length)
{
	if ((void *)(p->tcp + 1) > end || length < sizeof(*p->tcp))
		return TRUNCATED_TCP;
	if (p->tcp->doff < 5 || p->tcp->doff * 4 > length)
		return BAD_TCP_OFFSET;
	if (!p->tcp->source)
		return BAD_TCP_PORT;
	p->sport = p->tcp->source;
	p->dport = p->tcp->dest;
	return SOUND;
}

/* Padding behind the datagram is lawful; a source port of 0 says that nobody waits for an answer. */
static __always_inline enum verdict check_udp(void *end, struct packet *p, __u32 length)
{
	if ((void *)(p->udp + 1) > end || length < sizeof(*p->udp))
		return TRUNCATED_UDP;
	if (bpf_ntohs(p->udp->len) < sizeof(*p->udp) || bpf_ntohs(p->udp->len) > length)
		return BAD_UDP_LENGTH;
	p->sport = p->udp->source;
	p->dport = p->udp->dest;
	return SOUND;
}

static __always_inline int is_land(struct packet *p)
{
	struct address src, dst;

	if (p->sport != p->dport)
		return 0;
	if (!p->six)
		return p->ip->saddr == p->ip->daddr;
	src = source(p);
	dst = destination(p);
	return same(&src, &dst);
}

/* What must hold of a packet to a service's address before it is forwarded. */
static __always_inline enum verdict parse_transport(struct packet *p)
{
	void *end = readable(p->ctx, p->hook);
	__u32 header = p->six ? sizeof(*p->ip6) : sizeof(*p->ip);
	enum verdict why;

	why = p->six ? check_ip6(end, p, &header) : check_ip4(p);
	if (why != SOUND)
		return why;
	p->tcp = (p->six ? (void *)p->ip6 : (void *)p->ip) + header;
	p->udp = (void *)p->tcp;
	if (p->proto == IPPROTO_TCP)
		why = check_tcp(end, p, p->bytes - header);
	else
		why = check_udp(end, p, p->bytes - header);
	if (why != SOUND)
		return why;
	if (is_land(p))
		return LAND;
	if ((p->six ? p->ip6->hop_limit : p->ip->ttl) <= 1)
		return TTL_EXPIRED;
	return SOUND;
}

/* Is there a TCP header? There is where it is asked, but the verifier does not see that. */
static __always_inline int can_be_read(struct packet *p)
{
	return p->proto == IPPROTO_TCP && (void *)(p->tcp + 1) <= readable(p->ctx, p->hook);
}

/* All steps again, of a packet that was found to be TCP. */
static __always_inline enum verdict parse_tcp(struct packet *p)
{
	return parse_ip(p) == SOUND && parse_transport(p) == SOUND && can_be_read(p) ? SOUND : BROKEN;
}

#endif
