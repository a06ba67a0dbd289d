/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Full NAT: requests get the backend's address and port as their destination, and as
 * their source a local address and port of the balancer's. So replies come back by plain
 * routing, and backends need know neither VIPs nor a way over the balancer. For replies see
 * answer(), for local ports claim.h, and toa.h for how backends learn who the client is.
 */
#ifndef LBCTL_FORWARD_FULLNAT_H
#define LBCTL_FORWARD_FULLNAT_H

#include "forward_nat.h"

static __always_inline int forward_fullnat(struct packet *p, struct backend *backend, struct peer *local)
{
	translate_both(p, &local->addr, local->port, &backend->addr, port_of(backend, p));
	return transmit(p, backend->ifindex, backend->mac);
}

#endif
