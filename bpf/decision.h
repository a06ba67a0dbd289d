/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What is to become of a packet, as a number: the slow path is a function that the
 * verifier looks at on its own, and such a function returns no more than that.
 */
#ifndef LBCTL_DECISION_H
#define LBCTL_DECISION_H

#include "stats.h"

#define DONE (1u << 31) /* the packet's way ends here, by the action in the low byte */

/* What one step finds out for another: */
#define ABSENT (1u << 30) /* the packet has no entry in the flow table, as far as is known */
#define SCALED (1u << 29) /* of COOKIE_VALID: the client scales its windows */
#define FOUND (ABSENT | SCALED)

static __always_inline __u32 done(int action, enum verdict why) { return DONE | (__u32)leave(action, why); }

/* On to the backend in a slot; the verdict is still to be counted. */
static __always_inline __u32 to_slot(__u32 slot, enum verdict why) { return (__u32)why << 16 | slot; }

/* Instead of a slot: what the next step is. No table of backends is so large. */
#define NO_CHOICE 0xffff /* choose() */
#define GUARDED 0xfffe   /* guard(), and then choose() */
#define CUT 0xfffd       /* reset() */

/* Not remembered: there is no room, or another CPU is about to delete the entry. */
#define FORGOTTEN to_slot(NO_CHOICE, DEGRADED)

/* Still to be remembered, for which a local port is to be claimed. */
#define TO_BE_BOUND to_slot(NO_CHOICE, NEW_FLOW)

static __always_inline int is_done(__u32 decision) { return decision >> 31; }
static __always_inline int action_of(__u32 decision) { return decision & 0xff; }
static __always_inline __u32 decided_slot(__u32 decision) { return decision & 0xffff; }
static __always_inline enum verdict decided_verdict(__u32 decision) { return decision >> 16 & 0xff; }

#endif
