/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Delivery by the backend's way of forwarding. The next one gets a header and a case;
 * FULLNAT, which needs to know the flow, has its case in deliver().
 */
#ifndef LBCTL_FORWARD_H
#define LBCTL_FORWARD_H

#include "forward_dr.h"
#include "forward_fullnat.h"
#include "forward_nat.h"
#include "forward_tun.h"

static __always_inline int forward(struct packet *p, struct backend *backend)
{
	switch (backend->forward) {
	case DIRECT:
		return forward_dr(p, backend);
	case NAT:
		return forward_nat(p, backend);
	case TUNNEL:
		return forward_tun(p, backend);
	case FULLNAT:
		break;
	}
	return XDP_ABORTED;
}

#endif
