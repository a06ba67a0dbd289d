/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * IPVS's TCP state machine: tcp_states in net/netfilter/ipvs/ip_vs_proto_tcp.c,
 * without the states that its tables never lead to (LAST_ACK, LISTEN, SYNACK).
 * SYN_SENT is left out, too: a SYN of the backend changes nothing here.
 */
#ifndef LBCTL_STATES_H
#define LBCTL_STATES_H

#include "types.h"

/* Whose packet it is, and whether the other end's are seen as well. */
enum sight {
	OF_CLIENT,       /* INPUT: the backend's are seen, too */
	OF_CLIENT_ALONE, /* INPUT_ONLY */
	OF_BACKEND,      /* OUTPUT */
	SIGHTS,
};

#define FIN_SYN_RST 7 /* the low bits of TCP's flags */
#define FIRST FLOW_STATES /* in place of a state: the flow begins with this packet */

/*
 * By sight, flags and state. A RST counts before a SYN, a SYN before a FIN, and
 * what bears none of them is an ACK.
 */
#define ROWS(ack, fin, syn, rst) { { ack }, { fin }, { syn }, { syn }, { rst }, { rst }, { rst }, { rst } }
#define STATES(opening, established, fin_wait, close_wait, time_wait, closed, first) \
	opening, established, fin_wait, close_wait, time_wait, closed, DATAGRAMS, first
const enum flow_state next_states[SIGHTS][FIN_SYN_RST + 1][FLOW_STATES + 1] = {
	[OF_CLIENT] = ROWS(
		/* ack */ STATES(ESTABLISHED, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, TIME_WAIT, CLOSED, ESTABLISHED),
		/* fin */ STATES(TIME_WAIT, CLOSE_WAIT, TIME_WAIT, CLOSE_WAIT, TIME_WAIT, CLOSED, CLOSED),
		/* syn */ STATES(OPENING, ESTABLISHED, OPENING, OPENING, OPENING, OPENING, OPENING),
		/* rst */ STATES(OPENING, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED)),
	[OF_CLIENT_ALONE] = ROWS(
		/* ack */ STATES(ESTABLISHED, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, TIME_WAIT, CLOSED, ESTABLISHED),
		/* fin */ STATES(TIME_WAIT, FIN_WAIT, FIN_WAIT, CLOSE_WAIT, TIME_WAIT, CLOSED, CLOSED),
		/* syn */ STATES(OPENING, ESTABLISHED, OPENING, OPENING, OPENING, OPENING, OPENING),
		/* rst */ STATES(OPENING, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED, CLOSED)),
	[OF_BACKEND] = ROWS(
		/* ack */ STATES(ESTABLISHED, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, TIME_WAIT, CLOSED, ESTABLISHED),
		/* fin */ STATES(TIME_WAIT, FIN_WAIT, FIN_WAIT, TIME_WAIT, TIME_WAIT, CLOSED, TIME_WAIT),
		/* syn */ STATES(OPENING, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, TIME_WAIT, CLOSED, OPENING),
		/* rst */ STATES(CLOSED, CLOSED, CLOSED, CLOSED, TIME_WAIT, CLOSED, CLOSED)),
};

static __always_inline enum flow_state next_state(enum sight sight, __u8 flags, __u8 state)
{
	return next_states[sight][flags & FIN_SYN_RST][state & FLOW_STATES];
}

/* tcp_state_active_table; what is no TCP is never active. */
static __always_inline int is_active(enum flow_state state)
{
	return state == OPENING || state == ESTABLISHED;
}

#endif
