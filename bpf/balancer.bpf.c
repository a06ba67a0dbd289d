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
#include "service.h"
#include "flow.h"
#include "track.h"
#include "stats.h"
#include "mtu.h"
#include "forward_dr.h"
#include "forward_nat.h"
#include "forward_tun.h"

/* By the backend's way of forwarding. The next one gets a header and a case. */
static __always_inline int forward(struct packet *p, struct backend *backend)
{
	switch (backend->forward) {
	case DIRECT:
		return forward_dr(p, backend);
	case NAT:
		return forward_nat(p, backend);
	case TUNNEL:
		return forward_tun(p, backend);
	}
	return XDP_ABORTED;
}

static __always_inline int deliver(struct packet *p, struct backend *backend, enum verdict why)
{
	int action;

	decrement_ttl(p);
	action = forward(p, backend);
	return action == XDP_ABORTED ? leave(XDP_DROP, BROKEN) : leave(action, why);
}

/* The way of a packet of either family. */
static __always_inline int balance_ip(void *ctx, enum hook hook, __u8 six)
{
	struct packet p = { .ctx = ctx, .hook = hook, .six = six };
	union tuple key;
	struct flow *flow;
	struct service *service;
	struct backend *backend;
	enum verdict why;
	__u32 slot = 0;
	int anew;

	why = parse_ip(&p);
	if (why != SOUND)
		return leave(XDP_DROP, why);
	why = accept(&p);
	if (why != SOUND)
		return leave(XDP_PASS, why);
	why = parse_transport(&p);
	if (why != SOUND) {
		why = refuse(&p, why);
		return leave(why == NOT_VIP || why == OTHER_PROTOCOL ? XDP_PASS : XDP_DROP, why);
	}

	flow = find_flow(&p, &key);
	if (flow && flow->direction == REPLIES)
		return answer(&p, &key, flow);
	if (has_bad_flags(&p)) {
		why = refuse(&p, BAD_TCP_FLAGS);
		return leave(why == NOT_VIP ? XDP_PASS : XDP_DROP, why);
	}
	anew = flow && begins_anew(flow, &p);
	backend = flow && !anew ? backend_of(flow) : NULL;
	if (backend) {
		why = KNOWN_FLOW;
		if (!fits(&p, backend->mtu))
			return tell(&p, backend->mtu);
		count(flow->slot, &p, 0);
		touch(flow, &key, &p, backend);
	} else {
		service = find_service(&p);
		if (!service)
			return leave(XDP_PASS, refuse(&p, NO_SERVICE));
		backend = choose(service, &p, &slot);
		if (!backend)
			return leave(XDP_PASS, NO_BACKEND);
		if (clashes(&p, backend))
			return leave(XDP_DROP, NAT_CLASH);
		if (!fits(&p, backend->mtu))
			return tell(&p, backend->mtu);
		if (flow)
			forget_replies(&p, flow);
		if (is_rst(&p))
			why = STRAY_RESET;
		else
			why = flow && !anew && !is_syn(&p) ? MOVED_FLOW : NEW_FLOW;
		count(slot, &p, why != STRAY_RESET);
		if (why != STRAY_RESET)
			remember(&key, &p, backend, slot);
	}
	return deliver(&p, backend, why);
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
int now(__u64 *jiffies)
{
	*jiffies = bpf_jiffies64();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
