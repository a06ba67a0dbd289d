/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The defence of a service against SYNs. What begins with a SYN passes here before
 * a backend is chosen, and so do packets that only a cookie can explain; known
 * flows do not.
 *
 * Each client may send so many SYNs a second, as long as there is room to remember
 * it. And while more SYNs come than connections come of them, SYNs are answered by
 * cookies, which costs no memory at all.
 */
#ifndef LBCTL_GUARD_H
#define LBCTL_GUARD_H

#include "cookie.h"
#include "decision.h"
#include "flow.h"
#include "persist.h"
#include "splice.h"

/* Who has one address of IPv6 has its whole /64. */
static __always_inline struct clients client_in(struct packet *p, struct service *service)
{
	struct clients client = { .net = source(p), .service = service->index };

	if (p->six)
		client.net.word[2] = client.net.word[3] = 0;
	return client;
}

/* Seconds for which a flood is not over after the last one that was half as bad, and after it for which cookies live. */
#define CALM 10
#define COOKIE_LIFE 120

/*
 * May the client send another SYN? A bucket of as many tokens as there may be in a
 * second, as the time at which it will be full again (GCRA, ITU-T I.371). A second
 * has limit * hz units of that time, so a token takes hz units and a jiffy brings limit.
 * What is further ahead than one second was written under another limit.
 */
static __always_inline int may_begin(struct packet *p, struct service *service, __u32 limit)
{
	struct clients client = client_in(p, service);
	__u64 now = (__u64)clock() * limit, second = (__u64)limit * hz, fresh = now + hz, from, to;
	__u64 *full = bpf_map_lookup_elem(&senders, &client);

	if (!full) {
		if (!bpf_map_update_elem(&senders, &client, &fresh, BPF_NOEXIST))
			return 1;
		full = bpf_map_lookup_elem(&senders, &client); /* another CPU was first */
		if (!full)
			return 1;
	}
	for (int i = 0; i < 8; i++) {
		from = *(volatile __u64 *)full;
		to = fresh;
		if (from > now && from <= now + second)
			to = from + hz;
		if (to > now + second)
			return 0;
		if (__sync_val_compare_and_swap(full, from, to) == from)
			return 1;
	}
	return 0;
}

static __always_inline int is_past(__u32 then, __u32 now) { return (__s32)(now - then) >= 0; }

/*
 * Is the service under a flood, with this SYN? Of each second is counted how many
 * SYNs came that began something, less the connections that were established: more
 * than the service's flood are one, and it lasts until CALM seconds have passed
 * in none of which were more than half of that.
 */
static __always_inline int is_flooded(struct defence *d)
{
	__u32 now, second;
	__s32 unfinished;
	int flooded;

	if (d->cookies != AUTO)
		return d->cookies == ALWAYS;
	now = clock();
	second = *(volatile __u32 *)&d->second;
	if (now - second >= hz && __sync_val_compare_and_swap(&d->second, second, now) == second)
		d->unfinished = 0;
	unfinished = __sync_fetch_and_add(&d->unfinished, 1) + 1;
	flooded = d->until && !is_past(d->until, now);
	if (unfinished <= (__s32)(flooded ? d->flood / 2 : d->flood)) {
		if (d->until && is_past(d->until + COOKIE_LIFE * hz, now))
			d->until = 0;
		return flooded;
	}
	d->until = (now + CALM * hz) | 1; /* not 0 */
	return 1;
}

/* May cookies be under way? */
static __always_inline int expects_cookies(struct defence *d)
{
	if (d->cookies != AUTO)
		return d->cookies == ALWAYS;
	return d->until && !is_past(d->until + COOKIE_LIFE * hz, clock());
}

/* Is nothing else let in than what bears a cookie? */
static __always_inline int insists(struct defence *d)
{
	if (d->cookies != AUTO)
		return d->cookies == ALWAYS;
	return d->until && !is_past(d->until, clock());
}

/* A SYN of nothing that is known. A live flow of the same ends is over, and makes way for who returns with the cookie. */
static __always_inline __u32 guard_syn(struct packet *p, struct service *service, struct defence *d)
{
	struct flow *flow;
	union tuple key;

	if (d->limit && !may_begin(p, service, d->limit))
		return done(XDP_DROP, SYN_LIMITED);
	if (!service->hashes || !is_flooded(d)) /* the client of a service without backends is refused */
		return to_slot(NO_CHOICE, NEW_FLOW);
	flow = find_flow(p, &key);
	if (flow && is_live(owner_in(flow))) {
		flow->joint = OFFERED;
		flow->delta = 1; /* of no meaning, but not 0 */
	}
	if (!CALL_APART(challenge, p->ctx, p->hook, p->six))
		return done(XDP_DROP, NO_TAILROOM);
	return done(XDP_TX, COOKIE_SENT);
}

/* An ACK without a flow, or of one that is not JOINED. Probes of a closed window bear the number before the next (RFC 9293, 3.8.6.1). */
static __always_inline __u32 guard_ack(struct packet *p, struct defence *d, enum verdict why)
{
	__u32 number = bpf_ntohl(p->tcp->ack_seq) - 1, isn = bpf_ntohl(p->tcp->seq), data;
	union tuple key;
	struct flow *flow = find_flow(p, &key);
	__u64 owner = flow ? owner_in(flow) : TOMBSTONE;
	int pending = is_live(owner) && is_pending(flow, p), awaited = pending && flow->joint == AWAITED;

	if (!pending && !expects_cookies(d))
		return to_slot(NO_CHOICE, why);
	data = is_gso(p->ctx, p->hook) ? NO_COOKIE : CALL_APART1(decode, p->ctx, p->hook, p->six, isn - 1);
	if (data == NO_COOKIE && awaited)
		data = CALL_APART1(decode, p->ctx, p->hook, p->six, isn);
	if (data != NO_COOKIE) {
		if (awaited && flow->delta == number && backend_of(owner))
			return to_slot(slot_of(owner), COOKIE_AGAIN);
		finish(d);
		return to_slot(NO_CHOICE, COOKIE_VALID) | (terms_of(data) >= WITH_SCALE ? SCALED : 0);
	}
	if (pending && !awaited && backend_of(owner))
		return to_slot(slot_of(owner), KNOWN_FLOW); /* of the flow that is over */
	if (pending || insists(d))
		return done(XDP_DROP, COOKIE_WRONG);
	return to_slot(NO_CHOICE, why);
}

static __always_inline __u32 guard_ip(void *ctx, enum hook hook, __u8 six, __u32 why)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	struct service *service;
	struct defence *d;
	__u32 index;

	if (parse_tcp(&p) != SOUND)
		return done(XDP_DROP, BROKEN);
	service = find_service(&p);
	if (!service)
		return done(XDP_PASS, NO_SERVICE);
	index = service->index;
	d = bpf_map_lookup_elem(&defences, &index);
	if (!d)
		return done(XDP_DROP, BROKEN);
	return p.tcp->syn ? guard_syn(&p, service, d) : guard_ack(&p, d, why);
}

APART1(guard, __u32, why)

#endif
