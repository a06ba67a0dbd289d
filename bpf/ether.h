/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Ethernet addresses in one or two steps instead of six. Those of a frame's header may
 * lie anywhere, so clang would take them byte by byte; but in packets and in maps
 * the verifier lets a word lie anywhere, if the machine does. On the stack it does
 * not: no address there may be given to these.
 */
#ifndef LBCTL_ETHER_H
#define LBCTL_ETHER_H

#include <linux/if_ether.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>

/* The same pointer, of which clang knows nothing. */
#define AS_IT_LIES(type, p) ({ void *at = (void *)(p); asm volatile("" : "+r"(at)); (type *)at; })

/* Both are followed by two bytes more of whatever they are in. */
static __always_inline int same_mac(const __u8 *a, const __u8 *b)
{
	return !(bpf_be64_to_cpu(*AS_IT_LIES(__u64, a) ^ *AS_IT_LIES(__u64, b)) >> 16);
}

static __always_inline void copy_mac(__u8 *to, const __u8 *from)
{
	__u32 first = *AS_IT_LIES(__u32, from);
	__u16 last = *AS_IT_LIES(__u16, from + 4);

	*AS_IT_LIES(__u32, to) = first;
	*AS_IT_LIES(__u16, to + 4) = last;
}

#endif
