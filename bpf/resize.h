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
 * because the driver has no such room.
 */
static __always_inline int grow(struct packet *p, __u32 by)
{
	struct ethhdr eth = *p->eth;

	if (p->hook == TCX || bpf_xdp_adjust_head(p->ctx, -(int)by))
		return 0;
	p->eth = frame(p->ctx, p->hook);
	if ((void *)(p->eth + 1) + by > readable(p->ctx, p->hook))
		return 0;
	*p->eth = eth;
	return 1;
}

#endif
