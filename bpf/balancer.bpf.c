// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The layer-4 balancer: a program in front of the network stack, for XDP and for
 * tcx. Read verdicts.h for what can happen to a packet, types.h for what is in the
 * maps, and hook.h for where it runs.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* The kernel's headers come first: a macro of theirs must not rename a verdict. */

#include "types.h"
#include "verdicts.h"
#include "maps.h"
#include "parse.h"
#include "lookup.h"
#include "schedule.h"
#include "flow.h"
#include "track.h"
#include "quic.h"
#include "stats.h"
#include "begin.h"
#include "deliver.h"
#include "mtu.h"
#include "adopt.h"
#include "errors.h"
#include "sweep.h"

/* No action's numbers: there is no entry in the flow table, or one that does not say where the packet goes. */
#define ABSENT_FLOW DONE
#define UNKNOWN_FLOW (DONE | 1)
#define ACTIONS 0xff /* what known() returns is an action, or a decision above these */

/* The last step of what has begun, and of what is to grow on the way. */
static __always_inline __u32 forward_ip(void *ctx, enum hook hook, __u8 six, __u32 decision)
{
	enum verdict why = decided_verdict(decision);
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	__u32 slot = decided_slot(decision);
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);
	struct flow *flow = NULL;
	struct peer local;
	union tuple key;
	__u64 owner = TOMBSTONE;

	if (!backend || parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
		return leave(XDP_DROP, BROKEN);
	if (!fits(&p, backend->mtu))
		return tell(&p, backend->mtu);
	if (backend->forward == FULLNAT) {
		flow = find_flow(&p, &key);
		owner = flow ? owner_in(flow) : TOMBSTONE;
		if (!is_live(owner) || slot_of(owner) != slot)
			return leave(XDP_DROP, NO_LOCAL_PORT); /* another CPU has moved the flow on */
		if (why == RESET_BACKEND) {
			local = peer_in(flow, six); /* the port is needed no longer than the flow */
			expect_replies(&p, backend, &local, flow, owner);
		}
		if (flow->delta && flow->joint == JOINED)
			to_backends_numbers(&p, flow->delta);
		if (is_to_tell(flow, &p, backend)) {
			CALL_APART1(mention, ctx, hook, six, backend->mtu);
			if (parse_ip(&p) != SOUND || parse_transport(&p) != SOUND)
				return leave(XDP_DROP, BROKEN);
		}
	}
	return deliver(&p, backend, flow, owner, why);
}

APART1(forward, __u32, decision)

/* The way of a packet of a known flow, and of what is not for us. */
static __always_inline __u32 known_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	struct flow *flow;
	struct backend *backend;
	enum verdict why;
	__u64 owner;

	why = parse_ip(&p);
	if (why != SOUND)
		return leave(XDP_DROP, why);
	why = accept(&p);
	if (why != SOUND && is_icmp(&p))
		return CALL_APART(steer, ctx, hook, six);
	if (why != SOUND)
		return leave(XDP_PASS, why);
	why = parse_transport(&p);
	if (why == OTHER_PROTOCOL && is_icmp(&p))
		return CALL_APART(steer, ctx, hook, six);
	if (why != SOUND) {
		why = refuse(&p, why);
		return leave(why == NOT_VIP || why == OTHER_PROTOCOL ? XDP_PASS : XDP_DROP, why);
	}

	flow = flow_at_once(&p);
	owner = flow ? owner_in(flow) : TOMBSTONE;
	if (flow && is_live(owner) && kind_of(owner) == REPLIES)
		return answer(&p, flow, owner);
	if (has_bad_flags(&p)) {
		why = refuse(&p, BAD_TCP_FLAGS);
		return leave(why == NOT_VIP ? XDP_PASS : XDP_DROP, why);
	}
	if (!flow)
		return ABSENT_FLOW;
	if (!is_live(owner) || begins_anew(flow, owner, &p) || is_pending(flow, &p))
		return UNKNOWN_FLOW;
	backend = backend_of(owner);
	if (!backend || belongs_elsewhere(&p, backend))
		return UNKNOWN_FLOW;
	if (!fits(&p, backend->mtu))
		return tell(&p, backend->mtu);
	if (!touch(flow, owner, &p, backend))
		return UNKNOWN_FLOW;
	count(slot_of(owner), &p, 0);
	if (is_to_tell(flow, &p, backend))
		return to_slot(slot_of(owner), KNOWN_FLOW);
	if (flow->delta && flow->joint == JOINED)
		to_backends_numbers(&p, flow->delta);
	return deliver(&p, backend, flow, owner, KNOWN_FLOW);
}

APART(known)

/* Is the packet an ACK in place of the SYN that is to be sent? */
static __always_inline int is_by_cookie(__u32 decision)
{
	return !is_done(decision) && (decided_verdict(decision) == COOKIE_VALID || decided_verdict(decision) == COOKIE_AGAIN);
}

/* The way of a packet of either family. */
static __always_inline int balance_ip(void *ctx, enum hook hook, __u8 six)
{
	__u32 decision = CALL_APART(known, ctx, hook, six);

	if (decision == UNJOINED_REPLY) {
		switch (CALL_APART(join, ctx, hook, six)) {
		case REFUSED:
			return leave(XDP_TX, NO_SYN_ACK);
		case UNFIT:
			return leave(XDP_DROP, NO_TAILROOM);
		}
		decision = CALL_APART(known, ctx, hook, six);
		if (decision == UNJOINED_REPLY)
			return leave(XDP_DROP, STALE_REPLY); /* on another CPU the client has begun anew */
	}
	if (decision <= ACTIONS)
		return decision;
	if (decision == UNKNOWN_FLOW || decision == ABSENT_FLOW)
		decision = begin(ctx, hook, six, decision == ABSENT_FLOW);
	if (is_by_cookie(decision) && !CALL_APART(reopen, ctx, hook, six))
		return leave(XDP_DROP, NO_TAILROOM);
	return is_done(decision) ? action_of(decision) : (int)CALL_APART1(forward, ctx, hook, six, decision);
}

/*
 * The one source is compiled for each hook and family apart: that spares every
 * packet some ten branches, and the verifier what it cannot know.
 */
static __always_inline int balance_frame(void *ctx, enum hook hook)
{
	struct ethhdr *eth;

	gather(ctx, hook);
	eth = frame(ctx, hook);
	if ((void *)(eth + 1) > readable(ctx, hook))
		return leave(XDP_DROP, TRUNCATED_ETHERNET);
	if (is_tagged(ctx, hook))
		return leave(XDP_PASS, NOT_IP);
	switch (eth->h_proto) {
	case bpf_htons(ETH_P_IP):
		return balance_ip(ctx, hook, 0);
	case bpf_htons(ETH_P_IPV6):
		return balance_ip(ctx, hook, 1);
	}
	return leave(XDP_PASS, NOT_IP);
}

SEC("xdp")
int balance(struct xdp_md *ctx)
{
	return balance_frame(ctx, XDP);
}

SEC("tcx/ingress")
int balance_tcx(struct __sk_buff *skb)
{
	return tcx_action(skb, balance_frame(skb, TCX));
}

/*
 * The program's clock, for Go: flows hold jiffies, which no system call tells.
 * Run by BPF_PROG_TEST_RUN only.
 */
SEC("syscall")
int now(__u32 *jiffies)
{
	*jiffies = clock();
	return 0;
}

/* One round of the sweeper over all tables; see sweep.h. Run by Go, never twice at a time. */
SEC("syscall")
int sweep(struct tallies *out)
{
	struct round four = { .rearm = out->rearm, .sticks = out->sticks }, six = four, clients = four;

	bpf_loop(PARTS, judge_part4, &four, 0);
	bpf_loop(PARTS, judge_part6, &six, 0);
	bpf_for_each_map_elem(&templates, judge_template, &clients, 0);
	out->flows = four.found;
	out->flows6 = six.found;
	out->templates = clients.found;
	return 0;
}

/* One flow of a balancer beside this one. Go holds back changes of backends meanwhile. */
SEC("syscall")
int adopt(struct adoption *out)
{
	struct adoption a = *out;
	__u8 six = a.tuple.src.word[0] || a.tuple.src.word[1] || a.tuple.src.word[2] != bpf_htonl(0xffff);

	out->adopted = six ? adopt_as(&a, 1) : adopt_as(&a, 0);
	return 0;
}

/* Go has changed a backend in its slot: is it overloaded by its thresholds of now? */
SEC("syscall")
int reconsider(__u32 *slot)
{
	__u32 n = *slot;
	struct load *load = bpf_map_lookup_elem(&loads, &n);

	if (load)
		judge(n, load->flows);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
