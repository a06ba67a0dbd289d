/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors go where the flow that they are about goes: one about a packet
 * that a backend has sent in the service's name, to that backend, and under NAT
 * and FULLNAT one about a request, to the client. So path MTU discovery works through
 * the balancer, in both directions. Under both the quoted packet, which must be what
 * its sender has sent, is translated back with all its checksums. Under FULLNAT what
 * goes to a backend bears the local address, whoever has sent it: the backend needs
 * no route to any other.
 *
 * What else is ICMP is the stack's. It answers an echo request to a VIP for the
 * service as a whole: a ping that follows a hash would tell of one backend and
 * look like all.
 */
#ifndef LBCTL_ERRORS_H
#define LBCTL_ERRORS_H

#include "apart.h"
#include "forward.h"
#include "icmp.h"

static __always_inline int is_same(struct address a, struct address b)
{
	return same(&a, &b);
}

static __always_inline struct icmp *icmp_of(struct packet *p)
{
	return p->six ? (void *)(p->ip6 + 1) : (void *)(p->ip + 1);
}

/* Of the headers up to the end of the quoted IP header. */
static __always_inline __u32 quoted_at(struct packet *p)
{
	return (p->six ? 2 * sizeof(*p->ip6) : 2 * sizeof(*p->ip)) + sizeof(struct icmp);
}

/* The quoted packet, as far as errors must quote: its IP header and 8 bytes. */
static __always_inline enum verdict parse_quote(void *end, struct packet *p, struct packet *about)
{
	struct icmp *icmp = icmp_of(p);

	if ((void *)(icmp + 1) > end || !is_error(p, icmp->type))
		return OTHER_PROTOCOL;
	about->ip = (void *)(icmp + 1);
	about->ip6 = (void *)(icmp + 1);
	about->udp = p->six ? (void *)(about->ip6 + 1) : (void *)(about->ip + 1);
	about->tcp = (void *)about->udp;
	if ((void *)(about->udp + 1) > end || p->bytes < quoted_at(p) + sizeof(*about->udp))
		return BAD_ERROR;
	if (p->six)
		about->proto = about->ip6->version == 6 ? about->ip6->nexthdr : 0;
	else if (about->ip->version == 4 && about->ip->ihl == 5 && !(about->ip->frag_off & bpf_htons(0x1fff)))
		about->proto = about->ip->protocol;
	if (!is_transport(about->proto))
		return ERROR_UNKNOWN;
	about->sport = about->udp->source;
	about->dport = about->udp->dest;
	return SOUND;
}

static __always_inline enum verdict parse_error(struct packet *p, struct packet *about)
{
	enum verdict why = parse_ip(p);

	if (why != SOUND)
		return why;
	if (!is_ours(p))
		return NOT_OURS;
	if (!p->six && (p->ip->ihl != 5 || p->ip->frag_off & bpf_htons(0x3fff)))
		return OTHER_PROTOCOL;
	p->proto = p->six ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	p->bytes = p->six ? sizeof(*p->ip6) + bpf_ntohs(p->ip6->payload_len) : bpf_ntohs(p->ip->tot_len);
	if (p->bytes > room(p))
		return BAD_IP_LENGTH;
	return parse_quote(readable(p->ctx, p->hook), p, about);
}

/* The flow of the packets that answer the quoted one. */
static __always_inline struct flow *flow_about(struct packet *p, struct packet *about)
{
	union tuple key;

	if (p->six)
		key.v6 = (struct tuple6){
			.src = destination(about),
			.dst = source(about),
			.sport = about->dport,
			.dport = about->sport,
			.proto = about->proto,
		};
	else
		key.v4 = (struct tuple4){
			.src = about->ip->daddr,
			.dst = about->ip->saddr,
			.sport = about->dport,
			.dport = about->sport,
			.proto = about->proto,
		};
	return lookup(p, &key);
}

/* Where the quoted packet's checksum is, if so much is quoted. */
static __always_inline __u16 *quoted_check(struct packet *p, struct packet *about)
{
	if (about->proto == IPPROTO_UDP)
		return about->udp->check ? &about->udp->check : NULL;
	if (p->bytes < quoted_at(p) + offsetof(struct tcphdr, urg_ptr) ||
	    (void *)&about->tcp->urg_ptr > readable(p->ctx, p->hook))
		return NULL;
	return &about->tcp->check;
}

/*
 * One end of the quoted packet gets another address and port. Returns what all
 * that, with the checksums inside, adds to the sum of the ICMP message.
 */
static __always_inline __u64 requote(struct packet *p, struct packet *about, enum end end, struct address *to,
				     __be16 port)
{
	__be16 *at = end == SENDER ? &about->udp->source : &about->udp->dest;
	__u16 *check = quoted_check(p, about);
	__u16 header = p->six ? 0 : about->ip->check, old;
	__u64 sum = readdress(about, end, to) + change16(*at, port);
	__u64 all = sum;

	*at = port;
	if (!p->six)
		all += change16(header, about->ip->check);
	if (check) {
		old = *check;
		*check = mend(old, sum);
		if (!*check && about->proto == IPPROTO_UDP)
			*check = 0xffff;
		all += change16(old, *check);
	}
	return all;
}

/*
 * A sequence number of the quoted packet becomes greater by so much: its sender knows
 * it by that. Errors quote 8 bytes, and not always those with what is acknowledged.
 * Returns what that adds to the sum of the ICMP message.
 */
static __always_inline __u64 renumber(struct packet *p, struct packet *about, enum end end, __u32 by)
{
	__be32 *at = end == SENDER ? &about->tcp->seq : &about->tcp->ack_seq, before;
	__u16 *check = quoted_check(p, about), old;
	__u64 sum;

	if (about->proto != IPPROTO_TCP || (end == RECEIVER && !check) || (void *)(at + 1) > readable(p->ctx, p->hook))
		return 0;
	before = *at;
	*at = bpf_htonl(bpf_ntohl(before) + by);
	sum = change32(before, *at);
	if (!check)
		return sum;
	old = *check;
	*check = mend(old, sum);
	return sum + change16(old, *check);
}

/* The error itself gets other addresses, where not NULL, after changes in the message that add up to sum. */
static __always_inline void reseal(struct packet *p, struct address *from, struct address *to, __u64 sum)
{
	struct icmp *icmp = icmp_of(p);
	__u64 pseudo = from ? readdress(p, SENDER, from) : 0;

	if (to)
		pseudo += readdress(p, RECEIVER, to);

	icmp->check = mend(icmp->check, p->six ? sum + pseudo : sum);
}

static __always_inline int error_to_backend(struct packet *p, struct packet *about, struct flow *flow, __u64 owner)
{
	struct backend *backend = backend_of(owner);
	struct address *from = NULL;
	struct peer local;
	__u64 sum = 0;
	int action;

	if (!backend)
		return leave(XDP_PASS, ERROR_UNKNOWN);
	if (!fits(p, backend->mtu))
		return leave(XDP_DROP, TOO_BIG_UNTOLD);
	if (backend->forward == FULLNAT && !read_local(flow, owner, &local, p->six))
		return leave(XDP_DROP, NO_LOCAL_PORT);
	count(slot_of(owner), p, 0);
	decrement_ttl(p);
	if (is_replying(backend)) {
		if (flow->delta && flow->joint == JOINED)
			sum = renumber(p, about, SENDER, -flow->delta);
		sum += requote(p, about, SENDER, &backend->addr, backend->port ? backend->port : about->sport);
		if (backend->forward == FULLNAT) {
			from = &local.addr;
			sum += requote(p, about, RECEIVER, from, local.port);
		}
		reseal(p, from, &backend->addr, sum);
		action = transmit(p, backend->ifindex, backend->mac);
	} else {
		p->sport = about->dport; /* as the flow's own packets have it: their tunnel is this one's */
		action = forward(p, backend);
	}
	return action == XDP_ABORTED ? leave(XDP_DROP, BROKEN) : leave(action, ERROR_TO_BACKEND);
}

/* Under NAT and FULLNAT. Where a router has sent the error, its address stays. */
static __always_inline int error_to_client(struct packet *p, struct packet *about, struct flow *flow, __u64 owner)
{
	struct backend *backend = backend_of(owner);
	struct address vip = vip_in(flow, p->six), client = peer_address_in(flow, p->six);
	struct address *from = NULL, *to = NULL;
	__u32 ifindex = flow->ifindex;
	struct port *port = bpf_map_lookup_elem(&ports, &ifindex);
	__u64 sum = 0;
	int action;

	if (!backend)
		return leave(XDP_DROP, STALE_REPLY);
	if (!port)
		return leave(XDP_DROP, BROKEN);
	if (!fits(p, port->mtu))
		return leave(XDP_DROP, TOO_BIG_UNTOLD);
	count_reply(slot_of(owner), p);
	decrement_ttl(p);
	if (is_same(source(p), backend->addr))
		from = &vip;
	if (flow->delta && flow->joint == JOINED)
		sum = renumber(p, about, RECEIVER, flow->delta);
	sum += requote(p, about, RECEIVER, &vip, flow->vport);
	if (has_peer(flow, p->six)) {
		to = &client;
		sum += requote(p, about, SENDER, to, flow->pport);
	}
	reseal(p, from, to, sum);
	action = transmit(p, ifindex, flow->mac);
	return action == XDP_ABORTED ? leave(XDP_DROP, BROKEN) : leave(action, ERROR_TO_CLIENT);
}

/* The way of an ICMP packet. Errors go to whom has sent what they are about. */
static __always_inline __u32 steer_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six }, about = { .ctx = ctx, .hook = hook, .six = six };
	struct flow *flow = NULL;
	enum verdict why;
	__u64 owner = TOMBSTONE;

	why = parse_error(&p, &about);
	if (why == SOUND && is_same(destination(&p), source(&about)))
		flow = flow_about(&p, &about);
	if (flow)
		owner = owner_in(flow);
	if (flow && is_live(owner)) {
		if ((six ? p.ip6->hop_limit : p.ip->ttl) <= 1)
			return leave(XDP_DROP, TTL_EXPIRED);
		if (kind_of(owner) == REPLIES)
			return error_to_client(&p, &about, flow, owner);
		return error_to_backend(&p, &about, flow, owner);
	}
	if (why == TRUNCATED_IP || why == BAD_IP_HEADER)
		return leave(XDP_DROP, why);
	if (why == NOT_OURS)
		return leave(XDP_PASS, why);
	why = refuse(&p, why == SOUND ? ERROR_UNKNOWN : why);
	return leave(why == BAD_ERROR || why == BAD_IP_LENGTH ? XDP_DROP : XDP_PASS, why);
}

APART(steer)

#endif
