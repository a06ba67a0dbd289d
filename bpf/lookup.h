/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Whose packet is it? First a filter that costs next to nothing, then the
 * exact address, port and protocol, and only if that fails and there is any
 * such service, the prefixes and ranges of ports.
 *
 * For those, Go has parted all ports into classes: ports of one class are in
 * the same ranges, so that class and address decide alone.
 */
#ifndef LBCTL_LOOKUP_H
#define LBCTL_LOOKUP_H

#include "ether.h"
#include "maps.h"
#include "parse.h"

/* Multiplicative hashing (Knuth, TAOCP 6.4); l4/filter.go computes the same. */
static __always_inline int may_concern(struct address *addr)
{
	__u32 fold = addr->word[0] ^ addr->word[1] ^ addr->word[2] ^ addr->word[3];
	__u32 bit = (fold * 2654435761u) >> 16;
	__u32 word = bit / 64;
	__u64 *bits = bpf_map_lookup_elem(&filter, &word);

	return bits && (*bits >> (bit % 64)) & 1;
}

/* The first bits of a word, the others 0. */
static __always_inline __be32 leading(__be32 word, int bits)
{
	if (bits <= 0)
		return 0;
	return bits >= 32 ? word : word & bpf_htonl(~0u << (32 - bits));
}

/*
 * May a prefix have this address? The filter knows each prefix by the address
 * that it begins with, cut to the length of the shortest one.
 */
static __always_inline int may_be_within(struct packet *p, struct address addr)
{
	__u32 family = p->six;
	__u32 *entry = bpf_map_lookup_elem(&shortest, &family);
	int bits;

	if (!entry || !*entry)
		return 0;
	bits = *entry - 1;
	if (p->six)
		for (int i = 0; i < 3; i++)
			addr.word[i] = leading(addr.word[i], bits - 32 * i);
	addr.word[3] = leading(addr.word[3], bits - 96);
	return may_concern(&addr);
}

/* A bridge that does not know a MAC address floods: frames to others arrive, too. */
static __always_inline int is_ours(struct packet *p)
{
	__u32 ingress = p->ingress; /* a pointer into *p would keep all of it in memory */
	struct port *port = bpf_map_lookup_elem(&ports, &ingress);

	return port && same_mac(port->mac, p->eth->h_dest);
}

/* Is the packet for us at all? Only "no" is final: see refuse(). */
static __always_inline enum verdict accept(struct packet *p)
{
	struct address src = source(p), dst = destination(p);

	if (!may_concern(&dst) && !may_concern(&src) && !may_be_within(p, dst))
		return NOT_VIP;
	if (!is_ours(p))
		return NOT_OURS;
	return SOUND;
}

/* What the longest prefix says that has the address, in a class of ports. */
static __noinline struct service *find_prefix(struct address *addr, enum class class, __u16 six)
{
	struct prefix key = { .bits = 160, .class = class, .six = six, .addr = *addr };
	struct service *service = bpf_map_lookup_elem(&prefixes, &key);

	return service && !(service->flags & NOBODY) ? service : NULL;
}

/* The verdict of a packet that is not to be forwarded, once the filter let it in. */
static __always_inline enum verdict refuse(struct packet *p, enum verdict why)
{
	struct address dst = destination(p);
	__u32 family = p->six;
	__u32 *entry;

	if (bpf_map_lookup_elem(&addresses, &dst))
		return why;
	entry = bpf_map_lookup_elem(&shortest, &family);
	return entry && *entry && find_prefix(&dst, ALL_PORTS, p->six) ? why : NOT_VIP;
}

/* The class of the packet's port, NO_PORTS if no range has it. */
static __always_inline enum class class_of(struct packet *p)
{
	__u32 port = bpf_ntohs(p->dport), only = 0, i;
	void *protocols = bpf_map_lookup_elem(&port_classes, &only);
	__u16 *classes;

	if (!protocols)
		return NO_PORTS;
	i = (p->proto == IPPROTO_UDP ? ELEMENTS : 0) + port / PORTS;
	classes = bpf_map_lookup_elem(protocols, &i);
	return classes ? classes[port % PORTS] : NO_PORTS;
}

static __always_inline struct service *find_service(struct packet *p)
{
	struct vip key = {
		.addr = destination(p),
		.port = p->dport,
		.proto = p->proto,
	};
	struct service *service = bpf_map_lookup_elem(&services, &key);
	enum class class;

	if (service)
		return service->flags & NOBODY ? NULL : service;
	class = class_of(p);
	return class == NO_PORTS ? NULL : find_prefix(&key.addr, class, p->six);
}

#endif
