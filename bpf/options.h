/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * TCP's options (RFC 9293, 3.1), as far as two ends must agree on them when they
 * open a connection.
 */
#ifndef LBCTL_OPTIONS_H
#define LBCTL_OPTIONS_H

#include "apart.h"
#include "parse.h"

enum option : __u8 {
	END = 0,
	NOTHING = 1,
	MSS = 2,       /* RFC 9293 */
	SCALE = 3,     /* RFC 7323 */
	MAY_SACK = 4,  /* RFC 2018 */
	SACK = 5,
};

#define OPTIONS_ROOM 40
#define MOST_SCALE 14

/* What a SYN offers, as a number. */
static __always_inline __u32 offer(__u16 mss, int may_sack, int scale) { return (__u32)mss << 16 | !!may_sack << 8 | (scale + 1); }
static __always_inline __u16 offered_mss(__u32 offer) { return offer >> 16; }
static __always_inline int offers_sack(__u32 offer) { return offer >> 8 & 1; }
static __always_inline int offers_scale(__u32 offer) { return !!(offer & 0xff); }
static __always_inline __u8 offered_scale(__u32 offer) { return offers_scale(offer) ? (offer & 0xff) - 1 : 0; }

/* A walk over the options. What was not met is 0. */
struct walk_options {
	__u8 *begin;
	void *end; /* of what can be read */
	__u32 length;
	__u32 at;    /* of the next */
	__u32 mss;
	__u32 scale; /* and 1 */
	__u32 may_sack;
	__u32 sack; /* the offset of the blocks' kind, and 1 */
};

/* One step, and whether it is the last. It is called instead of unrolled, which the verifier would look at for every length. */
static long step_over(__u64 i, struct walk_options *w)
{
	__u32 at = w->at;
	__u8 *option;

	(void)i;
	if (at >= OPTIONS_ROOM || at >= w->length)
		return 1;
	option = w->begin + at;
	if ((void *)(option + 1) > w->end || option[0] == END)
		return 1;
	if (option[0] == NOTHING) {
		w->at = at + 1;
		return 0;
	}
	if ((void *)(option + 2) > w->end || option[1] < 2)
		return 1;
	w->at = at + option[1];
	if (option[0] == MAY_SACK)
		w->may_sack = 1;
	if (option[0] == SACK)
		w->sack = at + 1;
	if (option[0] == SCALE && option[1] == 3 && (void *)(option + 3) <= w->end)
		w->scale = (option[2] < MOST_SCALE ? option[2] : MOST_SCALE) + 1;
	if (option[0] == MSS && option[1] == 4 && (void *)(option + 4) <= w->end)
		w->mss = option[2] << 8 | option[3];
	return 0;
}

static __always_inline struct walk_options walk_over(struct packet *p)
{
	struct walk_options w = {
		.begin = (__u8 *)(p->tcp + 1), .end = readable(p->ctx, p->hook), .length = p->tcp->doff * 4 - sizeof(*p->tcp),
	};

	bpf_loop(OPTIONS_ROOM, step_over, &w, 0);
	return w;
}

static __always_inline __u32 options_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	struct walk_options w;

	if (parse_tcp(&p) != SOUND)
		return offer(0, 0, -1);
	w = walk_over(&p);
	return offer(w.mss, w.may_sack, (int)w.scale - 1);
}

APART(options)

#endif
