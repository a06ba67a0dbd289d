/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Where the program runs: what XDP and tcx do not have in common. Whoever
 * includes this knows one kind of context and one kind of action, XDP's.
 *
 * XDP has the frame as it came, in one piece; native in the driver, generic in
 * the stack. tcx ingress has the stack's buffer: it may be up to 64 KB of a
 * stream that is cut into segments only when it leaves (GSO), only its front
 * lies in memory in one piece, and its checksum may be one that the sender's
 * interface was to fill in (CHECKSUM_PARTIAL) or one that the receiver's has
 * computed over the whole (CHECKSUM_COMPLETE). See also checksum.h.
 *
 * hook is a constant wherever it is asked, see balance_frame().
 */
#ifndef LBCTL_HOOK_H
#define LBCTL_HOOK_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "types.h"

enum hook : __u8 {
	XDP, /* the context is struct xdp_md */
	TCX, /* the context is struct __sk_buff */
};

/* What stands in the checksum of TCP or UDP (linux/skbuff.h). */
enum summed {
	CHECKSUM_NONE,        /* the whole one */
	CHECKSUM_UNNECESSARY, /* as well, and it was found right */
	CHECKSUM_COMPLETE,    /* as well, and the buffer has the sum of all from the IP header on */
	CHECKSUM_PARTIAL,     /* the sum of the pseudo-header only, not inverted; who sends the packet adds the rest */
};

/* Of the kernel's buffer as much as is asked; where it stands there, the loader finds out (CO-RE). */
struct sk_buff {
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));

/* Since Linux 6.2, and tcx since 6.6: where it is missing, nobody runs the program for tcx. */
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

/*
 * As many bytes of a frame as are looked at: Ethernet, IPv6 and TCP with all its
 * options are 114, and an ICMPv6 error about such a packet needs 122.
 */
#define HEADERS 128

/* Pointers into the frame are valid until something here that says so is called. */
static __always_inline void *frame(void *ctx, enum hook hook)
{
	return (void *)(long)(hook == TCX ? ((struct __sk_buff *)ctx)->data : ((struct xdp_md *)ctx)->data);
}

/* The end of what can be read, which at tcx may be before the end of the frame. */
static __always_inline void *readable(void *ctx, enum hook hook)
{
	return (void *)(long)(hook == TCX ? ((struct __sk_buff *)ctx)->data_end : ((struct xdp_md *)ctx)->data_end);
}

/* The frame's bytes, with the Ethernet header and all that GSO will cut. */
static __always_inline __u32 length(void *ctx, enum hook hook)
{
	return hook == TCX ? ((struct __sk_buff *)ctx)->len : readable(ctx, hook) - frame(ctx, hook);
}

/* The ifindex of the interface that the frame came in by. */
static __always_inline __u32 ingress(void *ctx, enum hook hook)
{
	return hook == TCX ? ((struct __sk_buff *)ctx)->ifindex : ((struct xdp_md *)ctx)->ingress_ifindex;
}

/* Has the stack taken a VLAN tag off, which XDP would still see in the frame? */
static __always_inline int is_tagged(void *ctx, enum hook hook)
{
	return hook == TCX && ((struct __sk_buff *)ctx)->vlan_present;
}

/*
 * Is it many segments in one? Such a packet, if beyond 64 KB, says 0 in its IP
 * header's length (BIG TCP, net/ipv4/ip_output.c and net/ipv6/ip6_output.c).
 */
static __always_inline int is_gso(void *ctx, enum hook hook)
{
	return hook == TCX && ((struct __sk_buff *)ctx)->gso_size;
}

/* Read from the buffer itself: no call, and the helpers that know would each be one. */
static __always_inline enum summed summed(void *ctx, enum hook hook)
{
	struct sk_buff *skb;

	if (hook != TCX || !bpf_cast_to_kern_ctx)
		return CHECKSUM_NONE;
	skb = bpf_cast_to_kern_ctx(ctx);
	return BPF_CORE_READ_BITFIELD(skb, ip_summed);
}

/* Makes the frame's headers readable. Pointers into it are invalid afterwards. */
static __always_inline void gather(void *ctx, enum hook hook)
{
	__u32 whole;

	if (hook != TCX || frame(ctx, hook) + HEADERS <= readable(ctx, hook))
		return;
	whole = length(ctx, hook);
	if (frame(ctx, hook) + whole > readable(ctx, hook))
		bpf_skb_pull_data(ctx, whole < HEADERS ? whole : HEADERS);
}

#endif
