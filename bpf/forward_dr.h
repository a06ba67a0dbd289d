/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Direct routing: the packet goes to the backend's MAC address as it is. The
 * backend has the VIP on its loopback and answers the client itself.
 */
#ifndef LBCTL_FORWARD_DR_H
#define LBCTL_FORWARD_DR_H

#include "transmit.h"

static __always_inline int forward_dr(struct packet *p, struct backend *backend)
{
	return transmit(p, backend->ifindex, backend->mac);
}

#endif
