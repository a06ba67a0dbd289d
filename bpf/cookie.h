/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * SYN cookies: the sequence number of the SYN-ACK that a client gets is a hash of
 * both ends, the client's number, the minute and a secret of the kernel's, plus
 * five bits of data. A client that acknowledges such a number has got the SYN-ACK,
 * so its address is its own. Nothing is remembered until then.
 *
 * The kernel's helpers make and check these numbers. The one that checks says yes
 * if the data are 0 to 3, as the kernel's own tables of MSS have four entries, so a
 * number of this minute is compared with one made anew, and of one of the minute
 * before each value of the upper data bits is tried.
 *
 * Data are all that is known of the SYN's options when the client comes back: which
 * of four MSS, and which of eight combinations of SACK and window scale. Timestamps
 * are not agreed on, for the backend's clock is not ours.
 */
#ifndef LBCTL_COOKIE_H
#define LBCTL_COOKIE_H

#include "compose.h"
#include "options.h"

#define COOKIE_DATA 32
#define NO_COOKIE COOKIE_DATA

/* What clients are told to scale our windows by, in the backend's place: Linux's own with 6 MB (tcp_rmem). */
#define OUR_SCALE 7

/* By data's lower two bits. What the client takes is never less, as long as it takes the first. */
const __u16 cookie_mss4[] = { 536, 1300, 1440, 1460 };
const __u16 cookie_mss6[] = { 1220, 1420, 1440, 8940 };

/* By the upper three: 0 nothing, 1 SACK alone, 2 and more SACK and this scale. The client's own is never less. */
const __u8 cookie_scale[] = { 0, 0, 0, 5, 6, 7, 8, 10 };
#define WITH_SACK 1
#define WITH_SCALE 2

static __always_inline __u32 data_of(__u32 offer, __u8 six)
{
	const __u16 *table = six ? cookie_mss6 : cookie_mss4;
	__u16 mss = offered_mss(offer);
	__u32 low = 0, high = 0;

	for (__u32 i = 1; i < 4; i++)
		if (mss >= table[i])
			low = i;
	if (offers_sack(offer))
		high = WITH_SACK;
	if (offers_sack(offer) && offers_scale(offer))
		for (__u32 i = WITH_SCALE; i < 8; i++)
			if (offered_scale(offer) >= cookie_scale[i])
				high = i;
	return high << 2 | low;
}

static __always_inline __u16 mss_of(__u32 data, __u8 six) { return six ? cookie_mss6[data & 3] : cookie_mss4[data & 3]; }
static __always_inline __u32 terms_of(__u32 data) { return data >> 2 & 7; }
static __always_inline __u8 scale_of(__u32 data) { return cookie_scale[terms_of(data)]; }

/*
 * The kernel adds the client's number to the hash, so that one more would look like
 * one more of data. What it is given instead are numbers of which neighbours are far
 * apart (multiplicative hashing, as in lookup.h).
 */
static __always_inline __be32 spread(__u32 isn) { return bpf_htonl(isn * 2654435761u); }

/* The number for the client's, without data: a SYN without an MSS gets the table's first. Negative if there is none. */
static __always_inline __s64 make_cookie(struct packet *p, __u32 isn)
{
	struct tcphdr syn = { .source = p->sport, .dest = p->dport, .seq = spread(isn), .doff = 5, .syn = 1 };
	__s64 made;

	made = p->six ? bpf_tcp_raw_gen_syncookie_ipv6(p->ip6, &syn, sizeof(syn)) :
			bpf_tcp_raw_gen_syncookie_ipv4(p->ip, &syn, sizeof(syn));
	return made < 0 ? made : (__u32)made;
}

/* Is it a number for the client's with data 0 to 3, of this minute or the one before? */
static __always_inline int is_cookie(struct packet *p, __u32 isn, __u32 number)
{
	struct tcphdr ack = {
		.source = p->sport, .dest = p->dport, .ack_seq = bpf_htonl(number + 1), .doff = 5, .ack = 1,
	};

	ack.seq = bpf_htonl(bpf_ntohl(spread(isn)) + 1);
	return !(p->six ? bpf_tcp_raw_check_syncookie_ipv6(p->ip6, &ack) : bpf_tcp_raw_check_syncookie_ipv4(p->ip, &ack));
}

/* The data of the number that the packet acknowledges, NO_COOKIE if none was made for this client's number. */
static __always_inline __u32 decode_ip(void *ctx, enum hook hook, __u8 six, __u32 isn)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	__u32 number, high, low;
	__s64 made;

	if (parse_tcp(&p) != SOUND)
		return NO_COOKIE;
	number = bpf_ntohl(p.tcp->ack_seq) - 1;
	made = make_cookie(&p, isn);
	if (made < 0 || !number) /* 0 says in struct flow that there is none */
		return NO_COOKIE;
	if (number - (__u32)made < COOKIE_DATA)
		return number - (__u32)made;
	for (high = 0; high < COOKIE_DATA; high += 4)
		if (is_cookie(&p, isn, number - high))
			break;
	if (high == COOKIE_DATA)
		return NO_COOKIE;
	number -= high; /* and with k more it is valid as well, if the data are 3 - k at most */
	low = is_cookie(&p, isn, number + 2) ? 0 : 2;
	return high | (low + !is_cookie(&p, isn, number + 3 - low));
}

APART1(decode, __u32, isn)

/* Of the SYN-ACK: as much of TCP as the answer takes, which is never more than the SYN's. */
static __always_inline __u32 answer_length(struct packet *p)
{
	return p->tcp->doff >= 8 ? 32 : p->tcp->doff >= 6 ? 24 : 20;
}

/* The options of a SYN or SYN-ACK that has this much of TCP. */
static __always_inline int write_options(struct packet *p, __u32 bytes, __u16 mss, __u32 terms, __u8 scale)
{
	__be32 *word = (__be32 *)(p->tcp + 1);

	if ((void *)p->tcp + bytes > readable(p->ctx, p->hook))
		return 0;
	if (bytes >= 24)
		word[0] = bpf_htonl(MSS << 24 | 4 << 16 | mss);
	if (bytes >= 32) {
		word[1] = bpf_htonl(terms >= WITH_SCALE ? NOTHING << 24 | SCALE << 16 | 3 << 8 | scale : 0x01010101);
		word[2] = bpf_htonl(terms >= WITH_SACK ? NOTHING << 24 | NOTHING << 16 | MAY_SACK << 8 | 2 : 0x01010101);
	}
	return 1;
}

/*
 * Turns a SYN into the answer to it, in this much of TCP. The window is closed, so
 * the client sends no data that nobody could take yet: the backend's answer will
 * open it.
 */
static __always_inline int answer_syn(struct packet *p, __u32 bytes, __u32 number, __u32 terms, __u16 mss)
{
	__be32 acknowledged = bpf_htonl(bpf_ntohl(p->tcp->seq) + 1);
	__u64 before;

	if (!make_room(p, bytes))
		return 0;
	before = sum_of_headers(p, bytes);
	turn_around(p);
	if (!p->six)
		p->ip->frag_off = bpf_htons(DONT_FRAGMENT);
	set_length(p, bytes);
	p->tcp->seq = bpf_htonl(number);
	p->tcp->ack_seq = acknowledged;
	p->tcp->window = 0;
	set_flags(p, bytes, TCP_SYN | TCP_ACK);
	if (!write_options(p, bytes, mss, terms, OUR_SCALE))
		return 0;
	close_segment(p, bytes, bytes, before);
	return 1;
}

/* The step that answers a SYN. The MSS told is what the interface takes that the SYN came in by. */
static __always_inline __u32 challenge_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	__u32 offer = CALL_APART(options, ctx, hook, six), data, bytes, ifindex;
	struct port *port;
	__s64 made;
	__u16 mss;
	int done;

	if (parse_tcp(&p) != SOUND)
		return 0;
	ifindex = p.ingress;
	port = bpf_map_lookup_elem(&ports, &ifindex);
	made = make_cookie(&p, bpf_ntohl(p.tcp->seq));
	if (!port || made < 0)
		return 0;
	mss = port->mtu - (six ? sizeof(*p.ip6) : sizeof(*p.ip)) - sizeof(*p.tcp);
	bytes = answer_length(&p);
	data = data_of(offer, six);
	if (bytes < 32)
		data &= 3; /* no room to agree on more */
	made += data;
	if (bytes == 32)
		done = answer_syn(&p, 32, made, terms_of(data), mss);
	else if (bytes == 24)
		done = answer_syn(&p, 24, made, terms_of(data), mss);
	else
		done = answer_syn(&p, 20, made, terms_of(data), mss);
	return done;
}

APART(challenge)

#endif
