/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Checksums mended instead of computed anew: HC' = ~(~HC + ~m + m'), RFC 1624,
 * equation 3. Words are added as they lie in memory, which the one's complement
 * sum does not mind (RFC 1071).
 */
#ifndef LBCTL_CHECKSUM_H
#define LBCTL_CHECKSUM_H

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

#endif
