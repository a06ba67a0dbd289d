/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Checksums mended instead of computed anew: HC' = ~(~HC + ~m + m'), RFC 1624,
 * equation 3. Words are added as they lie in memory, which the one's complement
 * sum does not mind (RFC 1071).
 *
 * At XDP that is done on the spot. At tcx what stands in TCP's or UDP's checksum
 * may be the sum of the pseudo-header alone, because an interface is to do the
 * rest, and beside the packet the kernel may keep the sum of it all. Only the
 * kernel's helpers know. So changes are added up, and settle() tells them at the
 * end, since pointers into the packet do not outlive a helper.
 */
#ifndef LBCTL_CHECKSUM_H
#define LBCTL_CHECKSUM_H

#include <stddef.h>

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

/* Addresses and other words of the packet have changed by so much: TCP's or UDP's checksum follows. */
static __always_inline void amend(struct packet *p, __u64 addresses, __u64 covered)
{
	__u16 check;

	if (p->hook == TCX) {
		p->changes.addresses += addresses;
		p->changes.covered += covered;
	} else if (p->proto == IPPROTO_TCP) {
		p->tcp->check = mend(p->tcp->check, addresses + covered);
	} else if (p->udp->check) { /* 0: the sender did not compute one (RFC 768) */
		check = mend(p->udp->check, addresses + covered);
		p->udp->check = check ? check : 0xffff;
	}
}

/* A sum of 32 bits that is the same modulo 0xffff, as the helpers take it. */
static __always_inline __u32 narrow(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return sum + (sum >> 32);
}

/*
 * Tells the kernel of changes to TCP's or UDP's checksum.
 *
 * Changed addresses of IPv4 cancel out with the IP header's own checksum, those
 * of IPv6 with TCP's: bpf_l4_csum_replace() takes the former for granted unless
 * it is given BPF_F_IPV6, which Linux before 6.16 refuses. Undone by hand, it is
 * right on all.
 */
static __always_inline void settle_transport(struct packet *p)
{
	struct changes *c = &p->changes;
	__u32 check = p->proto == IPPROTO_TCP ? offsetof(struct tcphdr, check) : offsetof(struct udphdr, check);
	__u64 flags = p->proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;

	if (p->six)
		c->bare += c->addresses;
	if (p->proto == IPPROTO_UDP && !p->udp->check) {
		c->bare += c->covered;
		return;
	}
	bpf_l4_csum_replace(p->ctx, p->at + check, 0, narrow(c->addresses), flags | BPF_F_PSEUDO_HDR);
	bpf_l4_csum_replace(p->ctx, p->at + check, 0, narrow(c->covered), flags);
}

/* Ends all changes: pointers into the packet are invalid afterwards. */
static __always_inline void settle(struct packet *p)
{
	if (p->hook != TCX)
		return;
	if (p->changes.addresses)
		settle_transport(p);
	if (p->changes.bare)
		bpf_csum_update(p->ctx, narrow(p->changes.bare));
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
