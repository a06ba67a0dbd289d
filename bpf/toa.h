/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The client's address for a backend under FULLNAT, which sees the balancer's alone:
 * a TCP option (TOA, TCP option address) of kind 254, as LVS's FULLNAT patches have it
 * for IPv4 and DPVS for IPv6: kind, length, port and address. It goes into the SYN and
 * into what the client sends until the backend has answered with more than a SYN: who
 * reads it on a server does so as the handshake ends, or keeps the SYN (TCP_SAVE_SYN).
 * A packet of one jiffy with such an answer may still have it.
 *
 * It is left out where the header or the way has no room for it, and of many segments
 * in one (GSO). At tcx a packet whose checksum is still to be filled in has it only if it
 * bears no data, since nothing can tell the kernel where the TCP header has gone.
 *
 * What a client has put there by itself becomes the other experimental kind, 253
 * (RFC 4727), in each packet that may have the option: servers believe kind 254.
 */
#ifndef LBCTL_TOA_H
#define LBCTL_TOA_H

#include "apart.h"
#include "checksum.h"
#include "flow.h"
#include "resize.h"

#define TOA 254
#define NO_TOA 253
#define MOST_OPTIONS 40 /* bytes of them in a TCP header */

struct toa4 {
	__u8 kind;
	__u8 length;
	__be16 port;
	__be32 addr;
};

struct toa6 {
	__u8 kind;
	__u8 length;
	__be16 port;
	struct address addr;
};

static __always_inline int is_telling(struct packet *p, struct backend *backend)
{
	return backend->flags & TELLS_CLIENT && is_tcp(p);
}

/* Is the packet one that tells the backend of the client? A RST ends what it would tell of. */
static __always_inline int is_to_tell(struct flow *flow, struct packet *p, struct backend *backend)
{
	return backend->forward == FULLNAT && flow->untold && is_tcp(p) && !is_rst(p);
}

static __always_inline __u32 size_of_toa(struct packet *p)
{
	return p->six ? sizeof(struct toa6) : sizeof(struct toa4);
}

/* A reading of a packet's TCP options. */
struct reading {
	void *ctx;
	__u32 options; /* where they begin in the frame */
	__u32 length;
	__u32 at; /* of the next one */
	__u32 zero;
	__u64 sum; /* what the changes add to it */
};

static __always_inline long disown_next(struct reading *r, enum hook hook)
{
	__u32 at = r->at, shift;
	__u8 *option = frame(r->ctx, hook) + (r->options & 127) + (at & 63);

	if (at + 1 >= r->length || at >= MOST_OPTIONS || (void *)(option + 2) > readable(r->ctx, hook) || !option[0])
		return 1;
	if (option[0] == 1) {
		r->at = at + 1;
		return 0;
	}
	if (option[1] < 2)
		return 1;
	if (option[0] == TOA) {
		shift = at & 1 ? 8 : 0; /* as the byte lies in its word */
		r->sum += change16(TOA << shift, NO_TOA << shift);
		option[0] = NO_TOA;
	}
	r->at = at + option[1];
	return 0;
}

static long disown_next_xdp(__u64 i, struct reading *r)
{
	(void)i;
	return disown_next(r, XDP);
}

static long disown_next_tcx(__u64 i, struct reading *r)
{
	(void)i;
	return disown_next(r, TCX);
}

/* The client's own options of the kind get another. */
static __always_inline void disown(struct packet *p)
{
	struct reading r = {
		.ctx = p->ctx,
		.options = (void *)(p->tcp + 1) - (void *)p->eth,
		.length = p->tcp->doff * 4 - sizeof(*p->tcp),
	};

	if (p->hook == TCX)
		bpf_loop(MOST_OPTIONS, disown_next_tcx, &r, 0);
	else
		bpf_loop(MOST_OPTIONS, disown_next_xdp, &r, 0);
	if (r.sum)
		amend(p, 0, r.sum);
}

/* Makes room behind the TCP header without options, which moves to the front with all before it. */
static __always_inline int part_from_front(struct packet *p, __u32 by)
{
	__u32 behind = sizeof(*p->eth) + (p->six ? sizeof(*p->ip6) : sizeof(*p->ip));
	struct ipv6hdr ip6;
	struct iphdr ip;
	struct tcphdr tcp, *to;
	void *at;

	if (!grow(p, by, 0))
		return 0;
	at = (void *)(p->eth + 1);
	to = (void *)p->eth + behind;
	if ((void *)(to + 1) + by > readable(p->ctx, p->hook))
		return 0;
	tcp = *(struct tcphdr *)((void *)to + by);
	if (p->six) {
		ip6 = *(struct ipv6hdr *)(at + by);
		*(struct ipv6hdr *)at = ip6;
	} else {
		ip = *(struct iphdr *)(at + by);
		*(struct iphdr *)at = ip;
	}
	*to = tcp;
	return 1;
}

/* The same of a packet that ends with its TCP header, at tcx: the options move to the end. */
static __always_inline int part_from_end(struct packet *p, __u32 by)
{
	__u32 length = sizeof(*p->eth) + p->bytes + by;
	__u32 headers = sizeof(*p->eth) + (p->six ? sizeof(*p->ip6) : sizeof(*p->ip)) + sizeof(*p->tcp);
	__u32 words = p->tcp->doff - sizeof(*p->tcp) / 4, gap = by / 4;
	__be32 *options;

	if (length > HEADERS + MOST_OPTIONS || bpf_skb_change_tail(p->ctx, length, 0) ||
	    bpf_skb_pull_data(p->ctx, length))
		return 0;
	p->eth = frame(p->ctx, p->hook);
	options = (void *)p->eth + headers;
	if ((void *)options + by > readable(p->ctx, p->hook))
		return 0;
	for (__u32 i = MOST_OPTIONS / 4 - 1 - gap; i + 1 > 0; i--)
		if (i < words && (void *)(options + i + gap + 1) <= readable(p->ctx, p->hook))
			options[i + gap] = options[i];
	return 1;
}

/* Lengths of a packet that has grown; its checksums follow, option and all. */
static __always_inline void lengthen(struct packet *p, __u32 by, __u64 option)
{
	__be16 *length = p->six ? &p->ip6->payload_len : &p->ip->tot_len, before = *length;
	__be16 *word = (__be16 *)p->tcp + 6, was = *word; /* data offset and flags */
	__u64 change;

	*length = bpf_htons(bpf_ntohs(before) + by);
	change = change16(before, *length);
	if (!p->six)
		p->ip->check = mend(p->ip->check, change);
	*(__u8 *)word += by / 4 << 4;
	p->bytes += by;
	/* The pseudo-header has TCP's length: as a word apart, but grown by as much. */
	amend(p, change16(0, bpf_htons(by)), option + change16(was, *word));
}

/* Tells the backend who the client is. The packet is still as the client has sent it. */
static __always_inline __u32 mention_ip(void *ctx, enum hook hook, __u8 six, __u32 mtu)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	__u32 by = size_of_toa(&p), headers = six ? sizeof(*p.ip6) : sizeof(*p.ip), doff;
	struct toa4 *toa4;
	struct toa6 *toa6;
	__u64 sum;

	if (parse_ip(&p) != SOUND || parse_transport(&p) != SOUND || !is_tcp(&p))
		return 0;
	disown(&p);
	doff = p.tcp->doff;
	if (doff * 4 + by > sizeof(*p.tcp) + MOST_OPTIONS || p.bytes + by > mtu || is_gso(ctx, hook))
		return 0;
	if (summed(ctx, hook) == CHECKSUM_PARTIAL) {
		if (p.bytes != headers + doff * 4 || !part_from_end(&p, by))
			return 0;
	} else if (!part_from_front(&p, by)) {
		return 0;
	}
	p.ip = (void *)(p.eth + 1);
	p.ip6 = (void *)(p.eth + 1);
	p.tcp = (void *)(p.eth + 1) + headers;
	toa4 = (void *)(p.tcp + 1);
	toa6 = (void *)(p.tcp + 1);
	if ((void *)(p.tcp + 1) + by > readable(ctx, hook))
		return 0;
	if (six) {
		*toa6 = (struct toa6){ .kind = TOA, .length = sizeof(*toa6), .port = p.sport, .addr = source(&p) };
		sum = sum_of(toa6, sizeof(*toa6));
	} else {
		*toa4 = (struct toa4){ .kind = TOA, .length = sizeof(*toa4), .port = p.sport, .addr = p.ip->saddr };
		sum = sum_of(toa4, sizeof(*toa4));
	}
	lengthen(&p, by, sum);
	return 1;
}

APART1(mention, __u32, mtu)

#endif
