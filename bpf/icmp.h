/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What ICMP (RFC 792) and ICMPv6 (RFC 4443) have in common; linux/icmp.h would
 * need the headers of a C library.
 */
#ifndef LBCTL_ICMP_H
#define LBCTL_ICMP_H

#include "parse.h"

struct icmp {
	__u8 type;
	__u8 code;
	__u16 check;
	__be32 rest; /* its meaning depends on the type; of what says how much fits, it is the MTU */
};

enum {
	UNREACHABLE4 = 3,
	FRAGMENTATION_NEEDED = 4, /* a code of UNREACHABLE4 */
	TIME_EXCEEDED4 = 11,
	PARAMETER_PROBLEM4 = 12,

	UNREACHABLE6 = 1,
	TOO_BIG6 = 2,
	TIME_EXCEEDED6 = 3,
	PARAMETER_PROBLEM6 = 4,
};

static __always_inline int is_icmp(struct packet *p)
{
	return p->six ? p->ip6->nexthdr == IPPROTO_ICMPV6 : p->ip->protocol == IPPROTO_ICMP;
}

/* Errors quote the packet that they are about. Source quench (RFC 6633) and redirects are none of a flow's. */
static __always_inline int is_error(struct packet *p, __u8 type)
{
	if (p->six)
		return type >= UNREACHABLE6 && type <= PARAMETER_PROBLEM6;
	return type == UNREACHABLE4 || type == TIME_EXCEEDED4 || type == PARAMETER_PROBLEM4;
}

#endif
