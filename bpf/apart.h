/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Functions apart: the steps of a packet's way that not all packets take are
 * functions which the verifier looks at once and on their own, whatever their
 * callers know, with a stack of their own. Such a function is given the context
 * and numbers, returns a number, and parses the packet anew. So what the steps
 * cost the verifier adds up instead of multiplying, and known flows pay nothing.
 *
 * APART(step) makes four functions of step_ip(): one for each hook and family.
 */
#ifndef LBCTL_APART_H
#define LBCTL_APART_H

#include "hook.h"

#define APART(step)                                                                                \
	__noinline __u32 step##4(struct xdp_md *ctx) { return step##_ip(ctx, XDP, 0); }                \
	__noinline __u32 step##6(struct xdp_md *ctx) { return step##_ip(ctx, XDP, 1); }                \
	__noinline __u32 step##4_tcx(struct __sk_buff *ctx) { return step##_ip(ctx, TCX, 0); }         \
	__noinline __u32 step##6_tcx(struct __sk_buff *ctx) { return step##_ip(ctx, TCX, 1); }

#define APART1(step, type, x)                                                                      \
	__noinline __u32 step##4(struct xdp_md *ctx, type x) { return step##_ip(ctx, XDP, 0, x); }     \
	__noinline __u32 step##6(struct xdp_md *ctx, type x) { return step##_ip(ctx, XDP, 1, x); }     \
	__noinline __u32 step##4_tcx(struct __sk_buff *ctx, type x) { return step##_ip(ctx, TCX, 0, x); } \
	__noinline __u32 step##6_tcx(struct __sk_buff *ctx, type x) { return step##_ip(ctx, TCX, 1, x); }

#define APART2(step, type, x, type2, y)                                                            \
	__noinline __u32 step##4(struct xdp_md *ctx, type x, type2 y) { return step##_ip(ctx, XDP, 0, x, y); } \
	__noinline __u32 step##6(struct xdp_md *ctx, type x, type2 y) { return step##_ip(ctx, XDP, 1, x, y); } \
	__noinline __u32 step##4_tcx(struct __sk_buff *ctx, type x, type2 y) { return step##_ip(ctx, TCX, 0, x, y); } \
	__noinline __u32 step##6_tcx(struct __sk_buff *ctx, type x, type2 y) { return step##_ip(ctx, TCX, 1, x, y); }

#define CALL_APART(step, ctx, hook, six)                                                           \
	((hook) == TCX ? ((six) ? step##6_tcx(ctx) : step##4_tcx(ctx)) : ((six) ? step##6(ctx) : step##4(ctx)))

#define CALL_APART1(step, ctx, hook, six, x)                                                       \
	((hook) == TCX ? ((six) ? step##6_tcx(ctx, x) : step##4_tcx(ctx, x))                           \
		       : ((six) ? step##6(ctx, x) : step##4(ctx, x)))

#define CALL_APART2(step, ctx, hook, six, x, y)                                                    \
	((hook) == TCX ? ((six) ? step##6_tcx(ctx, x, y) : step##4_tcx(ctx, x, y))                     \
		       : ((six) ? step##6(ctx, x, y) : step##4(ctx, x, y)))

#endif
