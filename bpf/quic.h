/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * QUIC: which backend chose the packet's connection ID? A client keeps it when
 * its address or port changes (RFC 9000, 9), so what is known by address and
 * port is not enough.
 *
 * A backend writes its server ID into the connection IDs that it gives out, in
 * the plaintext form of draft-ietf-quic-load-balancers: a byte of which the
 * first three bits are the configuration, here always 0, and the others the
 * number of bytes behind it; two bytes of server ID; at least four of its own.
 * What a client makes up before it knows a connection ID may look like one by
 * chance (1 of 8 * 32 * 65536 for each backend), and then goes to one backend,
 * too.
 */
#ifndef LBCTL_QUIC_H
#define LBCTL_QUIC_H

#include "maps.h"
#include "parse.h"

#define LONG_HEADER 0x80 /* of the first byte (RFC 8999, 5.1) */
#define NO_SERVER (~0u)
#define MIN_CONNECTION_ID 7 /* with a server ID of two bytes and the shortest nonce */
#define MAX_CONNECTION_ID 20 /* RFC 9000, 17.2 */

/* The server ID that the packet bears, or NO_SERVER. */
static __always_inline __u32 server_id(struct packet *p)
{
	void *end = readable(p->ctx, p->hook);
	__u8 *quic = (void *)(p->udp + 1), *id;
	__u32 bytes, before, length;

	if (p->proto != IPPROTO_UDP || (void *)(quic + 1) > end)
		return NO_SERVER;
	bytes = bpf_ntohs(p->udp->len) - sizeof(*p->udp);
	before = *quic & LONG_HEADER ? 6 : 1; /* in a long header version and length come first */
	id = quic + before;
	if ((void *)(id + MIN_CONNECTION_ID) > end || id[0] >> 5)
		return NO_SERVER;
	length = (id[0] & 31) + 1;
	if (length < MIN_CONNECTION_ID || length > MAX_CONNECTION_ID || bytes < before + length)
		return NO_SERVER;
	if (before == 6 && quic[5] != length)
		return NO_SERVER;
	return id[1] << 8 | id[2];
}

/* The backend that the connection ID names, if it may go on there. *slot is valid iff one is returned. */
static __always_inline struct backend *find_by_connection_id(struct packet *p, __u32 service, __u32 *slot)
{
	__u32 id = server_id(p);
	struct server_key key = { .service = service, .id = id };
	struct server *server;
	struct backend *backend;

	if (id == NO_SERVER)
		return NULL;
	server = bpf_map_lookup_elem(&servers, &key);
	if (!server)
		return NULL;
	*slot = server->slot;
	backend = bpf_map_lookup_elem(&backends, slot);
	if (!backend || backend->id != server->backend || !(backend->flags & FORWARDS))
		return NULL;
	return backend;
}

/* Has another backend chosen the packet's connection ID than the one that the flow has? */
static __always_inline int belongs_elsewhere(struct packet *p, struct backend *backend)
{
	struct backend *other;
	__u32 slot;

	if (!(backend->flags & HAS_SERVER_ID))
		return 0;
	other = find_by_connection_id(p, backend->service, &slot);
	return other && other != backend;
}

#endif
