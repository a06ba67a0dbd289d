/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Layouts that the XDP program and Go share: what stands in the maps. Nothing
 * else is agreed between them. Go's types are generated from here, so there is
 * no second place to change.
 *
 * Every byte has a name: a hole would hold whatever was on the stack, and hash
 * keys are compared byte by byte. The pragmas below make a hole an error.
 *
 * Numbers are in host order unless their type is __be16 or __be32.
 */
#ifndef LBCTL_TYPES_H
#define LBCTL_TYPES_H

#include <linux/types.h>

#pragma clang diagnostic push
#pragma clang diagnostic error "-Wpadded"

/* An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d. */
struct address {
	__be32 word[4];
};

/* The key of a service: what clients address. */
struct vip {
	struct address addr;
	__be16 port;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 zero;
};

/* How the next slot of a service's table is found. */
enum key_kind : __u32 {
	TURN,   /* a counter: rr, wrr */
	SOURCE, /* a hash of the client's address: sh */
	CLIENT, /* a hash of the client's address and port: mh */
};

/*
 * A service. Replacing it is one atomic step, and it names its table, so a
 * packet meets either the old table with its size and key, or the new one.
 */
struct service {
	__u32 index; /* of its counter in turns; fixed for the service's life */
	__u32 table; /* index into tables */
	__u32 size;  /* of that table; 0 iff no backend is eligible */
	enum key_kind key;
};

/* How a packet is delivered to a backend. */
enum forward : __u8 {
	DIRECT, /* only the Ethernet addresses change */
	NAT,    /* so does the destination, and replies come back here for their source to be changed */
	TUNNEL, /* nothing of the packet changes, another header is put around it */
};

/* Bits of struct backend's flags. */
enum backend_flag : __u8 {
	FORWARDS = 1, /* what the backend already has may go on */
};

/*
 * A backend in its slot. Slots are reused, IDs are not: whoever remembers a slot
 * must remember the ID with it, and what it remembers is valid iff both match.
 *
 * The id is written last and cleared first. Flags change alone, in one byte. A
 * packet that meets half of a new MAC address is as lost as with the old one.
 */
struct backend {
	__u32 id; /* 0: the slot is free */
	__u32 ifindex;
	__u8 mac[6]; /* of the next hop on that interface */
	enum backend_flag flags;
	enum forward forward;
	__u32 service; /* struct service's index */
	struct address addr;
	__be16 port;
	__u16 mtu; /* the longest IP packet that fits on the way there, before anything is put around it */
	/* Of TUNNEL: the outer header's source, and which bits of its last word the flow's hash fills. */
	struct address source;
	__be32 vary;
	__be16 gue; /* of TUNNEL: GUE's UDP port; 0: IPIP */
	__u16 zero;
	/* For Go only: what the slot was given to, until its counters are kept. */
	__u32 given; /* ID; 0: the slot may be given away */
};

/* What is seen of a flow shows of its state: under DIRECT one direction, under NAT both. */
enum flow_state : __u8 {
	OPENING,     /* SYN seen */
	ESTABLISHED, /* more than a SYN seen, no FIN */
	CLOSING,     /* FIN seen */
	DATAGRAMS,   /* UDP, which shows none */
	FLOW_STATES,
};

/* The key of an IPv4 flow. 16 bytes are hashed fastest. */
struct tuple4 {
	__be32 src;
	__be32 dst;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 zero[3];
};

/* The key of an IPv6 flow. */
struct tuple6 {
	struct address src;
	struct address dst;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 zero[3];
};

/* Which way the packets go whose tuple is an entry's key. */
enum direction : __u8 {
	REQUESTS, /* from the client to the service */
	REPLIES,  /* from the backend to the client, under NAT */
};

/*
 * What is remembered of a connection, or of datagrams between the same two ends.
 * Under NAT there is a second entry for the replies. Each bears what is newest of
 * both, save that last_seen and state may lag by a jiffy.
 */
struct flow {
	__u64 last_seen; /* jiffies */
	__u32 backend;   /* ID */
	__u16 slot;
	enum flow_state state;
	enum direction direction;
	/* Of REPLIES: where the client's packets came from last. Replies go back that way. */
	__u32 ifindex;
	__u8 mac[6];
	__u8 zero[6];
};

/* Per backend slot and CPU. Bytes count from the IP header on. */
struct counters {
	__u64 connections;
	__u64 packets;
	__u64 bytes;
	__u64 packets_out; /* replies */
	__u64 bytes_out;
};

/* An interface that the program is attached to, by its index. */
struct port {
	__u8 mac[6];
	__u16 mtu;
};

/*
 * What is kept for Go across restarts of the daemon: the name of a service or
 * backend, and what a service's removed backends had counted. Slot and backend
 * name the one added last, so that a crash half-way does not add it twice.
 */
struct name {
	__u8 text[64]; /* NUL-terminated */
};

struct retirement {
	struct counters total;
	__u32 slot;
	__u32 backend;
};

struct about {
	__u64 layout;   /* a hash of all the types above, as Go sees them */
	__u64 revision; /* of the last Snapshot applied whole */
};

#pragma clang diagnostic pop

#endif
