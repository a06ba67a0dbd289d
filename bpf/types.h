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

/* The key of a service that clients reach by one address and port. */
struct vip {
	struct address addr;
	__be16 port;
	__u8 proto; /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 zero;
};

/* Classes that are none of an Apply's making. */
enum class : __u16 {
	ALL_PORTS = 0, /* as a key: does a service have this address at all? */
	NO_PORTS = 0,  /* as a port's class: no range has it */
};

/*
 * The key of all other services, and of the addresses that any of them has: a
 * prefix of addresses, in a class of ports. The first word is what the kernel's
 * LPM trie wants there.
 */
struct prefix {
	__u32 bits; /* that count behind this word: 32, and the prefix's length as one of IPv6 */
	enum class class;
	__u16 six; /* the family: ::ffff:0:0/96 is in ::/0 */
	struct address addr;
};

/* How a backend is chosen: each as the kernel's net/netfilter/ipvs/ip_vs_NAME.c does. */
enum policy : __u32 {
	RR,
	WRR,
	LC,
	WLC,
	LBLC,
	LBLCR,
	DH,
	SH,
	MH,
	SED,
	NQ,
	FO,
	OVF,
	TWOS,
};

/* What becomes of a flow whose backend may not have it any more. */
enum lost : __u8 {
	MOVES,   /* to another backend, whose reset tells the client */
	DROPS,   /* its packets are dropped until it is idle long enough */
	EXPIRES, /* it is forgotten, and its next packet is one without a flow */
	RESETS,  /* both ends are told by a RST */
};

/* Bits of struct service's flags. */
enum service_flag : __u8 {
	EACH_ANEW = 1,         /* each packet is scheduled, and nothing remembered */
	NOBODY = 2,            /* no service at all: what is within a prefix or a range, but the balancer's own */
	BY_CONNECTION_IDS = 4, /* of QUIC: see quic.h */
	HASHES_PORTS = 8,      /* sh-port, mh-port */
	FALLS_BACK = 16,       /* sh-fallback, mh-fallback */
	DEFENDED = 64,         /* it has a struct defence: see guard.h */
};

/*
 * A service, under each key that it has. Replacing it is one atomic step, and it
 * names its table, so a packet meets either the old table with its sizes and
 * policy, or the new one.
 */
struct service {
	__u64 sum;    /* for Go only: of what the table was made from */
	__u32 index;  /* fixed for the service's life */
	__u32 table;  /* index into tables and cursors */
	__u32 size;   /* of the table's first part, the policy's; 0 iff it has no members */
	__u32 hashes; /* of its second part, choose_by_hash()'s; 0 iff no backend is eligible */
	enum policy policy;
	__u32 step; /* of wrr: the weights' greatest common divisor, at least 1 */
	__u32 most; /* of wrr: the first level */
	enum lost lost;
	enum service_flag flags;
	__u16 zero;
};

/*
 * A table is made of lines of the cache. Its first part is either the members
 * (rr wrr lc wlc lblc lblcr sed nq fo ovf twos), the newest first as in the
 * kernel's list, or buckets (dh sh mh). The second begins on a line of its own.
 */
#define SLOTS_IN_LINE 32
#define NO_SLOT 0xffff

struct line {
	__u16 slot[SLOTS_IN_LINE];
};

/* How a packet is delivered to a backend. */
enum forward : __u8 {
	DIRECT, /* only the Ethernet addresses change */
	NAT,    /* so does the destination, and replies come back here for their source to be changed */
	TUNNEL, /* nothing of the packet changes, another header is put around it */
	FULLNAT, /* as NAT, and the source becomes one of the balancer's local addresses and ports */
};

/* Bits of struct backend's flags. */
enum backend_flag : __u32 {
	FORWARDS = 1,      /* what the backend already has may go on: Go's to say */
	OVERLOADED = 2,    /* it has too many flows: the program's to say, see account() */
	STICKS = 4,        /* clients that stick to it may begin something new there */
	HAS_SERVER_ID = 8, /* its service knows packets by their connection IDs */
	TELLS_CLIENT = 16, /* under FULLNAT: its handshakes bear the client's address, see toa.h */
};

/*
 * A backend in its slot. Slots are reused, IDs are not: whoever remembers a slot
 * must remember the ID with it, and what it remembers is valid iff both match.
 *
 * The id is written last and cleared first. Flags change alone, in one word, and
 * the program's by atomic operations. A packet that meets half of a new MAC
 * address is as lost as with the old one.
 */
struct backend {
	__u32 id; /* 0: the slot is free */
	__u32 ifindex;
	enum backend_flag flags;
	__u8 mac[6]; /* of the next hop on that interface */
	enum forward forward;
	__u8 zero;
	__u32 service; /* struct service's index */
	struct address addr;
	__be16 port; /* 0: the one that the client asked for */
	__u16 mtu; /* the longest IP packet that fits on the way there, before anything is put around it */
	/* What the balancer itself is to the backend, and which bits of its last word differ from flow to flow: */
	struct address source; /* of TUNNEL the outer header's source, of FULLNAT the local address */
	__be32 vary;
	__be16 gue; /* of TUNNEL: GUE's UDP port; 0: IPIP */
	__u16 first_port; /* of FULLNAT: the local ports, from this one on */
	__u16 ports;      /* and how many; 0: there is nothing to be local by */
	__u16 zeros;
	__u32 upper; /* flows at which it becomes OVERLOADED; 0: never */
	__u32 lower; /* flows below which it no longer is; 0: three quarters of upper */
	/* What the slot was given to, until its flows are over and its counters kept. */
	__u32 given; /* ID; 0: the slot may be given away */
	__s32 weight; /* 0: takes nothing new, also because it is down, draining or out of reach */
	__u32 past_weight; /* for Go only: the last weight it had that was not 0 */
};

/*
 * What lblc and lblcr remember: where the packets of a service to a destination
 * go. Which entries there are is up to a least-recently-used map.
 */
struct destination {
	struct address addr;
	__u32 service; /* struct service's index */
};

#define PLACES 16 /* the most backends of a destination; the kernel knows no limit */

struct place {
	__u32 slot;
	__u32 backend; /* ID; the place is valid iff the slot still has it */
};

struct locality {
	__u64 used;     /* jiffies */
	__u64 modified; /* jiffies: when a place was last added or given up */
	__u64 count;    /* of places */
	struct place places[PLACES]; /* the one added last comes first */
};

/* What a connection ID names, in a service by its index. */
struct server_key {
	__u32 service;
	__u16 id;
	__u16 zero;
};

/* The backend of that name. */
struct server {
	__u32 slot;
	__u32 backend; /* ID */
};

/*
 * What is seen of a flow shows of its state: under DIRECT one direction, under
 * NAT both. IPVS's words are beside them; see states.h.
 */
enum flow_state : __u8 {
	OPENING,     /* SYN_RECV: a SYN of the client */
	ESTABLISHED, /* ESTABLISHED: more than a SYN, no FIN */
	FIN_WAIT,    /* FIN_WAIT: FIN of the backend, or of the client if only it is seen */
	CLOSE_WAIT,  /* CLOSE_WAIT: FIN of the client */
	TIME_WAIT,   /* TIME_WAIT: FIN of both, or right after the SYN */
	CLOSED,      /* CLOSE: a RST */
	DATAGRAMS,   /* UDP, which shows none */
	FLOW_STATES,
};

/* The key of an IPv4 flow. */
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

/* What the tuple that is an entry's key tells apart. */
enum flow_kind : __u8 {
	REQUESTS, /* from the client to the service: this entry is counted in loads */
	REPLIES,  /* from the backend to the client, under NAT and FULLNAT */
	STICKY,   /* no flow, but a template: see persist.h */
};

/* How far two ends have been joined whose sequence numbers differ: see splice.h. */
enum joint : __u8 {
	OFFERED, /* the client may come back with a cookie, and begins anew then */
	AWAITED, /* it has; the backend has not answered its SYN yet */
	JOINED,
};

/*
 * What is remembered of a connection, or of datagrams between the same two ends.
 * Under NAT and FULLNAT there is a second entry for the replies. Each bears what is
 * newest of both, save that last_seen and state may lag by a jiffy.
 *
 * See owner.h for how owner changes. The rest is valid iff the owner is live; it
 * is written before an owner that needs it is.
 */
struct flow {
	__u64 owner;     /* backend ID:32 | slot:16 | enum flow_state:8 | enum flow_kind:8 */
	__u32 last_seen; /* jiffies, their low 32 bits */
	/*
	 * What is added to the backend's sequence numbers towards the client; 0: the ends
	 * agree, and joint and shift say nothing. While it is not JOINED, the cookie.
	 */
	__u32 delta;
	__be16 vport; /* with vip */
	__be16 pport; /* with peer */
	/* Of REPLIES: where the client's packets came from last. Replies go back that way. */
	__u16 ifindex;
	__u8 mac[6];
	enum joint joint;
	__s8 shift;  /* to the left, of the backend's windows towards the client; of AWAITED, the client's scale */
	__u8 untold; /* 1: the backend is still to be told of the client, see toa.h */
	__u8 zero;
	struct address vip; /* of REPLIES: what the source becomes */
	/* Under FULLNAT: what the source becomes, a local address; of REPLIES what the destination becomes, the client. */
	struct address peer;
};

/* The same with IPv4 addresses. The program has pointers to struct flow for both: see addresses.h. */
struct flow4 {
	__u64 owner;
	__u32 last_seen;
	__u32 delta;
	__be16 vport;
	__be16 pport;
	__u16 ifindex;
	__u8 mac[6];
	enum joint joint;
	__s8 shift;
	__u8 untold;
	__u8 zero;
	__be32 vip;
	__be32 peer;
};

/*
 * An entry of a flow table, see table.h: one line of the cache, and two of IPv6, of which
 * the first has all that a packet of a known flow reads under DIRECT and TUNNEL.
 */
struct entry4 {
	struct tuple4 key;
	struct flow4 flow;
	__u32 next; /* of a free one: the index of the next, plus 1; 0: it was never used, and neither was its neighbour */
	__u32 zero;
};

struct entry6 {
	struct tuple6 key;
	struct flow flow;
	__u32 next;
	__u32 zero[5];
};

/*
 * Where the entries of some keys are, in a line of the cache. A reference is an entry's
 * number in its lower bits and some of its key's hash above them; 0: none.
 */
#define REFERENCES 15

struct references {
	__u32 version; /* of a front line, see below */
	__u32 reference[REFERENCES];
};

/* A version's bits, of which those above change with each reference that is added. */
#define LOCKED 1           /* a reference is being written */
#define BEHIND (511U << 1) /* how many references are in its back lines, of which it has 32 */
#define ONE_BEHIND 2
#define VERSION_STEP 1024

/*
 * The entries that are free, of one part of a flow table. Parts are equal and follow each
 * other, and by its index an entry is known in its part; see vacancy.h.
 */
#define PARTS 16

struct vacancy {
	__u64 first; /* changes:32 | index of the first free one, the head of a list, which ends beyond the part:32 */
	__u64 used;  /* entries that ever were used: they have the lowest indices */
	__u64 zero[6]; /* no two parts' on one line of the cache */
};

/*
 * What a backend has, by its slot: always as many as there are live entries of
 * it in the flow tables, by owner. Read it with active_of() and inactive_of().
 */
struct load {
	__u64 flows;     /* active << 32 + inactive */
	__u64 templates; /* clients that stick to the backend */
};

/* How clients stick to backends, by struct service's index. */
struct persistence {
	__u32 timeout; /* jiffies after its last connection that a client is remembered; 0: not at all */
	/* Clients that share these bits of their address are one. */
	struct address mask4; /* of ::ffff:a.b.c.d */
	struct address mask6;
};

/* The key of a template: clients of a service that are one. */
struct clients {
	struct address net;
	__u32 service; /* struct service's index */
};

/* What IPVS calls a template: the backend that new connections of clients go to. */
struct template {
	__u64 owner;   /* as in struct flow, of kind STICKY and without a state */
	__u32 expires; /* jiffies */
	__u32 zero;
};

/* When SYNs are answered by cookies. */
enum cookies : __u32 {
	NEVER,
	AUTO,
	ALWAYS,
};

/* How a service is defended against SYNs, by struct service's index. */
struct defence {
	enum cookies cookies;
	__u32 limit; /* SYNs per second and client; 0: unlimited */
	__u32 flood; /* of AUTO: more SYNs in a second that nothing came of */
	/* The program's, see is_flooded(). Go sets them to 0 with a change of the above. */
	__u32 second;     /* jiffies: when the second being counted began */
	__s32 unfinished; /* SYNs in it, less connections that were established */
	__u32 until;      /* jiffies: the flood is not over before; 0: there was none of late */
};

/* What may be changed while the program runs. */
struct setting {
	__u32 timeouts[FLOW_STATES]; /* jiffies without a packet after which a flow is over */
	__u32 skew;                  /* jiffies by which the program's clock is ahead: for tests */
	__u32 told;                  /* a bit for each enum flow_state: flows that come into it are news */
};

/* A flow has begun, or its owner changed. IPv4 addresses are ::ffff:a.b.c.d. */
struct news {
	struct tuple6 tuple;
	__u64 owner;
	struct address peer; /* as in struct flow */
	__be16 pport;
	__u16 zero;
	__u32 delta;
	__s32 shift;
	__u32 zeros;
};

/* A flow of a balancer beside this one. What is 0 or absent there is 0 here. */
struct adoption {
	struct tuple6 tuple;
	__u64 owner; /* of REQUESTS; by this balancer's IDs and slots */
	struct address peer;
	__u32 delta; /* of what is JOINED */
	__s32 shift;
	__u32 idle; /* jiffies since its last packet */
	/* Under NAT: where replies go, until a request shows it. */
	__u32 ifindex; /* 0: not known */
	__u8 mac[6];
	__be16 pport;
	__u32 adopted; /* out: 0 if it has no backend here or there is no room */
	__u32 zero;
};

/* What a sweep found, of each table. */
struct tally {
	__u64 entries;  /* live, after it */
	__u64 expired;  /* live, until it */
	__u64 resting;  /* no longer live: tombstones, which the next sweep deletes */
	__u64 deleted;
};

struct tallies {
	struct tally flows;
	struct tally flows6;
	struct tally templates;
	/* What Go says of the round: */
	__u32 rearm;  /* jiffies for which a template lives on that has flows */
	__u32 sticks; /* does any service have persistence? */
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
	__u32 across; /* a veth whose other end is in another namespace: 1 */
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
	__u64 secrets[10]; /* of the hashes in the flow tables */
	__u64 revision; /* of the last Snapshot applied whole */
};

#pragma clang diagnostic pop

#endif
