/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The addresses in a flow, which stand there as the flow's family has them: struct
 * flow4 is how far an IPv4 one goes. It does so where it is made, too.
 */
#ifndef LBCTL_ADDRESSES_H
#define LBCTL_ADDRESSES_H

#include "parse.h"

_Static_assert(offsetof(struct flow, zero) == offsetof(struct flow4, zero) &&
		       offsetof(struct flow, vip) == offsetof(struct flow4, vip),
	       "what is no address is the same in both");

static __always_inline struct address vip_in(struct flow *flow, __u8 six)
{
	return six ? flow->vip : mapped(((struct flow4 *)flow)->vip);
}

static __always_inline struct address peer_address_in(struct flow *flow, __u8 six)
{
	return six ? flow->peer : mapped(((struct flow4 *)flow)->peer);
}

static __always_inline void set_vip(struct flow *flow, struct address vip, __u8 six)
{
	if (six)
		flow->vip = vip;
	else
		((struct flow4 *)flow)->vip = vip.word[3];
}

static __always_inline void set_peer_address(struct flow *flow, struct address peer, __u8 six)
{
	if (six)
		flow->peer = peer;
	else
		((struct flow4 *)flow)->peer = peer.word[3];
}

/* Of an entry: is it one of FULLNAT? Nobody has the address 0, while a client of UDP may have the port. */
static __always_inline int has_peer(struct flow *flow, __u8 six)
{
	struct address *a = &flow->peer;

	return six ? (a->word[0] | a->word[1] | a->word[2] | a->word[3]) != 0 : ((struct flow4 *)flow)->peer != 0;
}

#endif
