/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The maps. Go gives them their sizes where max_entries is absent here; the
 * rest is fixed. Arrays are looked up without a helper call, and a packet of a known
 * flow meets nothing but arrays.
 */
#ifndef LBCTL_MAPS_H
#define LBCTL_MAPS_H

#include "types.h"
#include "verdicts.h"

#define SERVICES 1024
#define TABLES (2 * SERVICES + 1) /* while a table is replaced, both exist; 0 is no service's */
#define SLOTS 16384
#define FILTER_BITS 65536
#define VIPS 16384
#define PREFIXES 65536
#define PORTS 64 /* of which one element of port_classes tells */
#define ELEMENTS (65536 / PORTS)
#define LOCALITIES 32768
#define SENDERS 65536

/* A second in jiffies. Go sets it. */
volatile const __u32 hz = 250;

/* How many jiffies lblc and lblcr remember what is not used: a day. Go sets it. */
volatile const __u64 locality_expiration = 24 * 3600 * 250;

/*
 * Of the flow tables: entries, front lines and back lines less one each (all ones), and
 * entries in a part. Go sets them, and what nobody else knows.
 */
volatile const __u32 flow_entries = 1;
volatile const __u32 front_mask = 0;
volatile const __u32 back_mask = 0;
volatile const __u32 part_entries = 1;
volatile const __u64 secrets[10] = {}; /* a factor for each 32-bit word of a key */

/* The bits of a reference that are its key's, and not its entry's number. Go sets it. */
volatile const __u32 tag_mask = ~1U;

/* What the programs were made from: a hash, for Go only, which sets it. */
volatile const __u64 build = 0;

/*
 * Does a service have this address, or a backend under NAT? A bit by the
 * address's hash; may say yes wrongly.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FILTER_BITS / 64);
	__type(key, __u32);
	__type(value, __u64);
} filter SEC(".maps");

/*
 * By family, IPv4 first: the length of the services' shortest prefix as one of
 * IPv6, plus 1. 0: they have none. As it is below 256, a packet can only meet
 * all of it, whatever the kernel's copy does.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} shortest SEC(".maps");

/* The services' single addresses. The value is of no meaning. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VIPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address);
	__type(value, __u32);
} addresses SEC(".maps");

/* By ifindex. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct port);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VIPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct vip);
	__type(value, struct service);
} services SEC(".maps");

/*
 * In the one slot: the classes of TCP's ports, and then of UDP's. Empty if no
 * service has a prefix or a range. A new set of prefixes and ranges has classes
 * of its own, so that all of it comes into force when this map is replaced.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 2 * ELEMENTS);
		__type(key, __u32);
		__type(value, __u16[PORTS]);
	});
} port_classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, struct service);
} prefixes SEC(".maps");

/* The one that Go puts into tables in order to wait for packets under way. */
struct table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_INNER_MAP); /* sizes differ */
	__type(key, __u32);
	__type(value, struct line);
} empty_table SEC(".maps");

/* By struct service's table. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, TABLES);
	__type(key, __u32);
	__array(values, struct table);
} tables SEC(".maps");

/*
 * By struct service's table: where rr and wrr stand in it, see turns.h. Go
 * carries it over from a service's old table to its new one.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TABLES);
	__type(key, __u32);
	__type(value, __u64);
} cursors SEC(".maps");

/* By slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * SLOTS); /* what comes is there before what goes has gone */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct server_key);
	__type(value, struct server);
} servers SEC(".maps");

/* By slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct load);
} loads SEC(".maps");

/* By slot. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct counters);
} traffic SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct setting);
} settings SEC(".maps");

/* For all services that lblc and lblcr choose for. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LOCALITIES);
	__type(key, struct destination);
	__type(value, struct locality);
} localities SEC(".maps");

/* One to work on. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct locality);
} locality_copy SEC(".maps");
/* struct news, one after the other. What Go reads ten times a second has room for 300,000 a second. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} news_ring SEC(".maps");

/* How many found no room there. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} news_lost SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICT_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

/*
 * The flow tables, by number; see table.h. One for both families would make every IPv4
 * key 40 bytes long. Go maps them. What can be mapped begins with a page, so that entries are
 * in known lines of the cache; that is why the next ones can be, too.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct entry4);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct entry6);
} flows6 SEC(".maps");

/* By a key's hash: front lines, and behind them back lines. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct references);
} reference_lines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct references);
} reference_lines6 SEC(".maps");

/* Of the parts of the IPv4 flows, and then of the others'. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2 * PARTS);
	__type(key, __u32);
	__type(value, struct vacancy);
} vacancies SEC(".maps");

/* Since when another ICMP error may be sent, in ns; see may_answer(). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} told SEC(".maps");
/* By struct service's index. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SERVICES);
	__type(key, __u32);
	__type(value, struct persistence);
} persistences SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 18);
	__type(key, struct clients);
	__type(value, struct template);
} templates SEC(".maps");

/* By struct service's index. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SERVICES);
	__type(key, __u32);
	__type(value, struct defence);
} defences SEC(".maps");

/* Of services with a limit: see may_begin() for the value. Who has sent no SYN for longest is forgotten. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SENDERS);
	__type(key, struct clients);
	__type(value, __u64);
} senders SEC(".maps");

/* The program reads none of these; they live as long as it does. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SERVICES);
	__type(key, __u32);
	__type(value, struct name);
} service_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct name);
} backend_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SERVICES);
	__type(key, __u32);
	__type(value, struct retirement);
} retired SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct about);
} about_maps SEC(".maps");

#endif
