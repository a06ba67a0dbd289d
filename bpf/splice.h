/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A connection that began with a cookie is two that are joined: the client's with
 * the service, whose numbers are the cookie's, and the service's with the backend.
 *
 *  1. The client's ACK becomes a SYN to the backend, with the client's own number
 *     and the options that the cookie bears. The flow is OPENING and AWAITED.
 *  2. The backend's SYN-ACK becomes a question to the client as keep-alives are (RFC
 *     9293, 3.8.4): one byte that the client has, for it stands where its number was
 *     before the SYN-ACK's. It opens the window, and must be acknowledged.
 *  3. The client's ACK reaches the backend. Both are ESTABLISHED.
 *
 * So either end sends what its own peer would have, nothing is stored, and what is
 * lost is sent again: by the backend its SYN-ACK, and in place of the SYN, by the client
 * its probe of the closed window. A client that waits for the server to speak sends no
 * probes; if the SYN is lost, it waits until it sends something.
 *
 * From 2 on the flow is JOINED, and three things differ between the two: the backend's
 * sequence numbers by delta, wherever they stand, and the scale of the backend's windows. The
 * client's numbers are the same in both.
 */
#ifndef LBCTL_SPLICE_H
#define LBCTL_SPLICE_H

#include "cookie.h"
#include "flow.h"
#include "replies.h"
#include "reset.h"

/* A connection of the service was established. */
static __always_inline void finish(struct defence *d)
{
	if (d->cookies == AUTO)
		__sync_fetch_and_add(&d->unfinished, -1);
}

static __always_inline void finish_at(struct backend *backend)
{
	__u32 service = backend->service;
	struct defence *d = bpf_map_lookup_elem(&defences, &service);

	if (d)
		finish(d);
}

/* Turns the ACK with a cookie into the SYN that the client has sent before it. */
static __always_inline __u32 reopen_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	const __u32 bytes = 32;
	__u32 isn, data, window;
	__u64 before;

	if (parse_tcp(&p) != SOUND)
		return 0;
	isn = bpf_ntohl(p.tcp->seq) - 1;
	data = CALL_APART1(decode, ctx, hook, six, isn);
	if (data == NO_COOKIE)
		data = CALL_APART1(decode, ctx, hook, six, ++isn);
	if (data == NO_COOKIE || !make_room(&p, bytes))
		return 0;
	before = sum_of_headers(&p, bytes);
	window = bpf_ntohs(p.tcp->window) << scale_of(data); /* a SYN's is not scaled */
	set_length(&p, bytes);
	p.tcp->seq = bpf_htonl(isn);
	p.tcp->ack_seq = 0;
	p.tcp->window = bpf_htons(window < 0xffff ? window : 0xffff);
	set_flags(&p, bytes, TCP_SYN);
	if (!write_options(&p, bytes, mss_of(data, six), terms_of(data), scale_of(data)))
		return 0;
	close_segment(&p, bytes, bytes, before);
	return 1;
}

APART(reopen)

/* Turns the SYN-ACK into the question to the client, in the backend's numbers. */
static __always_inline int ask(struct packet *p, __u8 scale)
{
	const __u32 bytes = sizeof(*p->tcp) + 1;
	__u16 *behind;
	__u64 before;

	if (!make_room(p, bytes))
		return 0;
	before = sum_of_headers(p, sizeof(*p->tcp)) + *(__u8 *)(p->tcp + 1);
	behind = (__u16 *)(p->tcp + 1);
	if (!p->six && (void *)(behind + 3) <= readable(p->ctx, p->hook)) { /* what fills the frame up */
		before += (behind[0] & bpf_htons(0xff)) + behind[1] + behind[2];
		behind[0] = behind[1] = behind[2] = 0;
	}
	set_length(p, bytes);
	p->tcp->window = bpf_htons(bpf_ntohs(p->tcp->window) >> scale);
	set_flags(p, sizeof(*p->tcp), TCP_ACK);
	*(__u8 *)(p->tcp + 1) = 0;
	close_segment(p, sizeof(*p->tcp), bytes, before);
	return 1;
}

/* Both entries of the flow are joined by this. Whoever was first is right: the backend's number is the same. */
static __always_inline void join_by(struct packet *p, struct flow *replies, __u32 delta, __s8 shift)
{
	union tuple key;
	struct flow *requests;

	key_of_requests(p, replies, &key);
	requests = lookup(p, &key);
	if (requests && id_of(owner_in(requests)) == id_of(owner_in(replies))) {
		requests->delta = delta;
		requests->shift = shift;
		requests->joint = JOINED;
	}
	replies->delta = delta;
	replies->shift = shift;
	replies->joint = JOINED;
}

/* What join_ip() has made of a reply. */
enum joined {
	GOES_ON, /* it is as any other of a JOINED flow */
	REFUSED, /* it was answered */
	UNFIT,
};

/* The first answer of a backend that a SYN was sent to in the client's name, or one that it sends again. */
static __always_inline __u32 join_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	__u32 offer = CALL_APART(options, ctx, hook, six), number;
	struct flow *flow;
	union tuple key;

	if (parse_tcp(&p) != SOUND)
		return UNFIT;
	flow = find_flow(&p, &key);
	if (!flow || kind_of(owner_in(flow)) != REPLIES || !flow->delta)
		return GOES_ON; /* another CPU was first: known() sees what it has become */
	number = bpf_ntohl(p.tcp->seq);
	if (p.tcp->rst) { /* the client waits for the number behind the cookie */
		join_by(&p, flow, flow->delta + 1 - number, 0);
		return GOES_ON;
	}
	if (!p.tcp->syn || !p.tcp->ack) /* of a connection that only the backend knows of: the client would reset it */
		return answer_reset(&p) == XDP_TX ? REFUSED : UNFIT;
	if (flow->joint != JOINED)
		join_by(&p, flow, flow->delta - number, offered_scale(offer) - flow->shift);
	return ask(&p, offered_scale(offer)) ? GOES_ON : UNFIT;
}

APART(join)

/* Is it a reply for join_ip()? A RST counts before a SYN. */
static __always_inline int is_unjoined(struct flow *replies, struct packet *p)
{
	return replies->delta && (replies->joint != JOINED || (is_syn(p) && !is_rst(p)));
}

/* Until the client has answered the question, nothing that its backend says makes a JOINED flow more than OPENING. */
static __always_inline int is_question(struct flow *replies, __u64 owner, struct packet *p)
{
	return replies->delta && state_of(owner) == OPENING && !(flags_of(p) & (TCP_FIN | TCP_RST));
}

/* A reply of a JOINED flow: the number and the window as the client takes them. */
static __always_inline void to_clients_numbers(struct packet *p, __u32 delta, __s8 shift)
{
	__be32 seq;
	__be16 before;
	__u32 window;

	if (!can_be_read(p))
		return;
	seq = p->tcp->seq;
	before = p->tcp->window;
	window = bpf_ntohs(before);
	p->tcp->seq = bpf_htonl(bpf_ntohl(seq) + delta);
	if (!p->tcp->rst) {
		window = shift < 0 ? window >> (-shift & 15) : window << (shift & 15);
		p->tcp->window = bpf_htons(window < 0xffff ? window : 0xffff);
	}
	amend(p, 0, change32(seq, p->tcp->seq) + change16(before, p->tcp->window));
}

/* A sum of 16-bit words, if they began one byte later. */
static __always_inline __u64 at_odd(__u64 sum)
{
	__u32 folded = narrow(sum);

	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	return __builtin_bswap16(folded);
}

/* The edges of what a client has got out of order (RFC 2018), four blocks at most. */
static __always_inline __u32 edges_ip(void *ctx, enum hook hook, __u8 six, __u32 delta)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	struct walk_options w;
	__u32 at, length;
	__u8 *option;
	__u64 sum = 0;

	if (parse_tcp(&p) != SOUND)
		return 0;
	w = walk_over(&p);
	at = w.sack - 1;
	if (at >= OPTIONS_ROOM)
		return 0;
	option = (__u8 *)(p.tcp + 1) + at;
	if ((void *)(option + 2) > readable(ctx, hook))
		return 0;
	length = option[1];
	if (at + length > w.length)
		return 0;
	for (__u32 i = 0; i < 8; i++) {
		__be32 *edge = (__be32 *)(option + 2) + i;
		__be32 before;

		if (4 * i + 6 > length || (void *)(edge + 1) > readable(ctx, hook))
			break;
		before = *edge;
		*edge = bpf_htonl(bpf_ntohl(before) - delta);
		sum += change32(before, *edge);
	}
	amend(&p, 0, at & 1 ? at_odd(sum) : sum);
	return 0;
}

APART1(edges, __u32, delta)

/* A request of a JOINED flow: what it acknowledges, as the backend has numbered it. */
static __always_inline void to_backends_numbers(struct packet *p, __u32 delta)
{
	__be32 before;

	if (!can_be_read(p) || !p->tcp->ack)
		return;
	before = p->tcp->ack_seq;
	p->tcp->ack_seq = bpf_htonl(bpf_ntohl(before) - delta);
	amend(p, 0, change32(before, p->tcp->ack_seq));
	if (p->tcp->doff > 5)
		CALL_APART1(edges, p->ctx, p->hook, p->six, delta);
}

#endif
