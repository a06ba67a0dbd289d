/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Checksums mended instead of computed anew: HC' = ~(~HC + ~m + m'), RFC 1624,
 * equation 3. Words are added as they lie in memory, which the one's complement
 * sum does not mind (RFC 1071).
 *
 * At tcx what stands in TCP's or UDP's checksum may be the sum of the
 * pseudo-header alone, because an interface is to do the rest, and beside the
 * packet the kernel may keep the sum of it all. So whoever changes a packet says
 * so by amend() or amend_bare(), and leaves it to them where that is added.
 */
#ifndef LBCTL_CHECKSUM_H
#define LBCTL_CHECKSUM_H

#include "hook.h"
#include "parse.h"
#include "types.h"

/* What replacing one word by another adds to a sum; both 16 or both 32 bits wide. */
static __always_inline __u64 change32(__be32 from, __be32 to) { return (__u64)(__u32)~from + to; }
static __always_inline __u64 change16(__be16 from, __be16 to) { return (__u64)(__u16)~from + to; }

/* The checksum after changes that add up to sum, of which there may be thousands. */
static __always_inline __u16 mend(__u16 check, __u64 sum)
{
	sum += (__u16)~check;
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* A sum of 32 bits that is the same modulo 0xffff. */
static __always_inline __u32 narrow(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return sum + (sum >> 32);
}

/* Words under no checksum in the packet have changed by so much. */
static __always_inline void amend_bare(struct packet *p, __u64 sum)
{
	if (summed(p->ctx, p->hook) == CHECKSUM_COMPLETE)
		bpf_csum_update(p->ctx, narrow(sum));
}

/*
 * Addresses, and other words under TCP's or UDP's checksum, have changed by so
 * much: that checksum follows. IPv4's own must have followed already, so changed
 * addresses leave the sum of IPv4's header as it was, and that of IPv6's not.
 */
static __always_inline void amend(struct packet *p, __u64 addresses, __u64 covered)
{
	__sum16 *check = p->proto == IPPROTO_TCP ? &p->tcp->check : &p->udp->check;

	if (summed(p->ctx, p->hook) == CHECKSUM_PARTIAL) {
		*check = ~mend(~*check, addresses);
		return;
	}
	if (p->proto == IPPROTO_UDP && !*check) { /* the sender did not compute one (RFC 768) */
		amend_bare(p, covered + (p->six ? addresses : 0));
		return;
	}
	*check = mend(*check, addresses + covered);
	if (p->proto == IPPROTO_UDP && !*check)
		*check = 0xffff;
	if (!p->six)
		amend_bare(p, (__u32)~narrow(addresses));
}

/* The sum of a header, whose length is a constant and a multiple of 4. */
static __always_inline __u64 sum_of(void *header, __u32 length)
{
	__u32 *words = header;
	__u64 sum = 0;

	for (__u32 i = 0; i < length / 4; i++)
		sum += words[i];
	return sum;
}

#endif
