/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Changing a packet's size. The kernel may move the packet meanwhile, so of all
 * pointers in struct packet only eth is valid afterwards.
 */
#ifndef LBCTL_RESIZE_H
#define LBCTL_RESIZE_H

#include "parse.h"

/*
 * Makes room between the Ethernet and the IP header, by a number of bytes that
 * is a constant. After 1 these bytes may be written; after 0 the packet is lost,
 * because the driver has no such room. What is put there is a tunnel's headers
 * if tunnel is not 0, but bpf_skb_adjust_room()'s flags for them: with these tcx
 * keeps many segments in one (GSO), and makes them shorter for what is put
 * around each. Datagrams in one (UDP GSO) are left as long as they are.
 */
static __always_inline int grow(struct packet *p, __u32 by, __u64 tunnel)
{
	struct ethhdr eth = *p->eth;

	if (p->hook == TCX) {
		if (tunnel && p->proto == IPPROTO_UDP)
			tunnel |= BPF_F_ADJ_ROOM_FIXED_GSO;
		if (bpf_skb_adjust_room(p->ctx, by, BPF_ADJ_ROOM_MAC, tunnel))
			return 0;
		gather(p->ctx, p->hook);
	} else if (bpf_xdp_adjust_head(p->ctx, -(int)by)) {
		return 0;
	}
	p->eth = frame(p->ctx, p->hook);
	if ((void *)(p->eth + 1) + by > readable(p->ctx, p->hook))
		return 0;
	*p->eth = eth;
	return 1;
}

/* Cuts the frame to so many bytes, or adds zeros behind it. Pointers into it are invalid afterwards. */
static __always_inline int cut(struct packet *p, __u32 bytes)
{
	if (p->hook != TCX)
		return !bpf_xdp_adjust_tail(p->ctx, (int)(bytes - length(p->ctx, p->hook)));
	return !bpf_skb_change_tail(p->ctx, bytes, 0) && !bpf_skb_pull_data(p->ctx, bytes);
}

#endif
