/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The flow tables: entries by number, and bins that lead from keys to them. All of it
 * is in arrays, so looking up is done in line: as a rule two lines of the cache, the
 * bin's and the entry's. The kernel's hash table takes a call, a chain and four.
 *
 * A key belongs to one bin. One that is full takes nothing new, as if the table were
 * full; with four entries to a bin at most, on average, that is one flow in a million.
 *
 * Who looks up takes no lock: a reference is one word, and is written after all that it
 * leads to. Who inserts has read the bin's version before it found that the key is
 * not there; it makes the version odd if it still is that one, writes the reference and
 * makes it even again. So no key is there twice. Nothing can come in between these three
 * but an interrupt, or another thread where the program was run from one; whoever meets an
 * odd version tries again a few times, and then does as if the table were full.
 *
 * Free entries are a list whose head is changed by compare-and-swap, with a count of
 * changes, so that it cannot be mistaken for what it once was. Those never used are at its
 * end in order, which takes no preparation: all zeros is an empty table. Only the sweeper
 * removes and gives back (see owner.h).
 */
#ifndef LBCTL_TABLE_H
#define LBCTL_TABLE_H

#include <asm-generic/errno-base.h>

#include "owner.h"

#define INSERT_TRIES 8
#define TAKE_TRIES 32
#define GIVE_TRIES (1 << 20) /* each that fails is a flow that began elsewhere */

/* The key of either table; the packet's family says which. */
union tuple {
	struct tuple4 v4;
	struct tuple6 v6;
	__u64 word[sizeof(struct tuple6) / 8];
};

_Static_assert(sizeof(struct entry4) % 32 == 0 && sizeof(struct entry6) % 64 == 0 && sizeof(struct bin) == 64,
	       "lines of the cache");

/* A key where it lies, be it in the packet: its words, of which the last one is apart. */
struct wanted {
	const __u64 *addresses;
	__u64 ports;
};

static __always_inline struct wanted wanted(union tuple *key, __u8 six)
{
	return (struct wanted){ .addresses = key->word, .ports = key->word[six ? 4 : 1] };
}

/* Each word multiplied by the golden ratio's digits, as Fibonacci hashing does (Knuth, 6.4). */
static __always_inline __u64 hash_in(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

static __always_inline __u64 hash_of_key(struct wanted key, __u8 six)
{
	__u32 words = six ? 4 : 1;
	__u64 hash = seed;

	for (__u32 i = 0; i < words; i++)
		hash = hash_in(hash, key.addresses[i]);
	hash = hash_in(hash, key.ports) * 0xc4ceb9fe1a85ec53ULL; /* of MurmurHash3's fmix64 */
	return hash ^ hash >> 32;
}

static __always_inline int is_key(const __u64 *words, struct wanted key, __u8 six)
{
	__u64 differ = words[0] ^ key.addresses[0];

	if (six)
		differ |= (words[1] ^ key.addresses[1]) | (words[2] ^ key.addresses[2]) | (words[3] ^ key.addresses[3]);
	return !(differ | (words[six ? 4 : 1] ^ key.ports));
}

/* The line of a key's bin, or the one in which that goes on. */
static __always_inline struct bin *bin_of(__u64 hash, __u32 second, __u8 six)
{
	__u32 n = (hash & bin_mask) + second * (bin_mask + 1);

	return six ? bpf_map_lookup_elem(&bins6, &n) : bpf_map_lookup_elem(&bins, &n);
}

static __always_inline __u32 tag_of(__u64 hash) { return hash >> 32 & tag_mask; }
static __always_inline __u32 reference_in(struct bin *b, __u32 i) { return *(volatile __u32 *)&b->reference[i]; }

/* Either begins with its key. */
static __always_inline void *entry_at(__u32 number, __u8 six)
{
	return six ? bpf_map_lookup_elem(&flows6, &number) : bpf_map_lookup_elem(&flows, &number);
}

static __always_inline struct flow *flow_in(void *entry, __u8 six)
{
	return six ? &((struct entry6 *)entry)->flow : &((struct entry4 *)entry)->flow;
}

static __always_inline __u32 *next_in(void *entry, __u8 six)
{
	return six ? &((struct entry6 *)entry)->next : &((struct entry4 *)entry)->next;
}

/* The number of the entry with that key that the line refers to, or 0. */
static __always_inline __u32 number_in(struct bin *line, __u32 tag, struct wanted key, __u8 six)
{
	for (__u32 i = 0; i < REFERENCES; i++) {
		__u32 reference = reference_in(line, i);
		void *entry;

		if ((reference ^ tag) & tag_mask)
			continue;
		reference &= ~tag_mask;
		entry = entry_at(reference, six); /* that of none has number 0, which is no key's */
		if (entry && is_key(entry, key, six))
			return reference;
	}
	return 0;
}

static __always_inline __u32 find_spilled(__u64 hash, struct wanted key, __u8 six)
{
	struct bin *line = bin_of(hash, 1, six);

	return line ? number_in(line, tag_of(hash), key, six) : 0;
}

/* Not in line, as few keys are there. Static, as addresses may be in the packet. */
static __noinline __u32 find_spilled4(__u64 hash, const __u64 *addresses, __u64 ports)
{
	return find_spilled(hash, (struct wanted){ addresses, ports }, 0);
}

static __noinline __u32 find_spilled6(__u64 hash, const __u64 *addresses, __u64 ports)
{
	return find_spilled(hash, (struct wanted){ addresses, ports }, 1);
}

/* The number of the entry with that key, or 0. */
static __always_inline __u32 find(struct wanted key, __u8 six)
{
	__u64 hash = hash_of_key(key, six);
	struct bin *line = bin_of(hash, 0, six);
	__u32 number;

	if (!line)
		return 0;
	number = number_in(line, tag_of(hash), key, six);
	if (number || !(*(volatile __u32 *)&line->version & SPILLED))
		return number;
	return six ? find_spilled6(hash, key.addresses, key.ports) : find_spilled4(hash, key.addresses, key.ports);
}

__noinline __u32 find4(struct tuple4 *key) { return key ? find(wanted((union tuple *)key, 0), 0) : 0; }
__noinline __u32 find6(struct tuple6 *key) { return key ? find(wanted((union tuple *)key, 1), 1) : 0; }

static __always_inline struct flow *flow_at(__u32 number, __u8 six)
{
	void *entry = number ? entry_at(number, six) : NULL;

	return entry ? flow_in(entry, six) : NULL;
}

/* The flow with that key, or NULL. */
static __always_inline struct flow *lookup(struct packet *p, union tuple *key)
{
	return flow_at(p->six ? find6(&key->v6) : find4(&key->v4), p->six);
}

static __always_inline struct vacancy *vacancy_of(__u8 six)
{
	__u32 n = !!six;

	return bpf_map_lookup_elem(&vacancies, &n);
}

/* How many entries, from number 1 on, ever were used. */
static __always_inline __u64 used(__u8 six)
{
	struct vacancy *vacancy = vacancy_of(six);

	return vacancy ? *(volatile __u64 *)&vacancy->used : 0;
}

/* The head of the list, led to another entry. */
static __always_inline __u64 led_to(__u64 first, __u32 number) { return ((first >> 32) + 1) << 32 | (number - 1); }

/* The number of an entry for who inserts; 0: there is none, or too many CPUs want one. */
static __always_inline __u32 take(__u8 six)
{
	struct vacancy *vacancy = vacancy_of(six);

	if (!vacancy)
		return 0;
	for (__u32 i = 0; i < TAKE_TRIES; i++) {
		__u64 first = *(volatile __u64 *)&vacancy->first;
		__u32 number = (__u32)first + 1, next;
		void *entry = entry_at(number, six);

		if (number > flow_entries || !entry)
			return 0;
		next = *(volatile __u32 *)next_in(entry, six);
		if (__sync_val_compare_and_swap(&vacancy->first, first, led_to(first, next ? next : number + 1)) != first)
			continue;
		if (!next)
			__sync_fetch_and_add(&vacancy->used, 1);
		return number;
	}
	return 0;
}

static __always_inline long try_to_give(__u32 number, __u8 six)
{
	struct vacancy *vacancy = vacancy_of(six);
	void *entry = entry_at(number, six);
	__u64 first;

	if (!vacancy || !entry)
		return 1;
	first = *(volatile __u64 *)&vacancy->first;
	*(volatile __u32 *)next_in(entry, six) = (__u32)first + 1;
	return __sync_val_compare_and_swap(&vacancy->first, first, led_to(first, number)) == first;
}

static long try_to_give4(__u64 i, __u32 *number) { (void)i; return try_to_give(*number, 0); }
static long try_to_give6(__u64 i, __u32 *number) { (void)i; return try_to_give(*number, 1); }

/* The references to an entry that the line has are no more. True if the line has others. */
static __always_inline int strike(struct bin *line, __u32 number)
{
	int others = 0;

	for (__u32 i = 0; i < REFERENCES; i++) {
		__u32 reference = reference_in(line, i);

		if ((reference & ~tag_mask) == number)
			*(volatile __u32 *)&line->reference[i] = 0;
		else if (reference)
			others = 1;
	}
	return others;
}

/* The sweeper's: an entry that is BURIED is referred to no more, and free. */
static __always_inline void remove(void *entry, __u32 number, __u8 six)
{
	__u64 hash = hash_of_key(wanted(entry, six), six);
	struct bin *first = bin_of(hash, 0, six), *second = bin_of(hash, 1, six);
	__u32 version;

	if (!first || !second)
		return;
	strike(first, number);
	version = __sync_fetch_and_add(&first->version, 0);
	if (version & SPILLED && !strike(second, number) && !(version & LOCKED))
		__sync_val_compare_and_swap(&first->version, version, version & ~SPILLED);
	if (six)
		bpf_loop(GIVE_TRIES, try_to_give6, &number, 0);
	else
		bpf_loop(GIVE_TRIES, try_to_give4, &number, 0);
}

/*
 * Puts into an entry what is to be found there, save for the reference to it. The load is
 * counted first: whoever finds the entry may change it, and account for that. The sweeper
 * finds it already: it must not take it for idle.
 */
static __always_inline void furnish(void *entry, union tuple *key, struct flow *fresh, __u8 six)
{
	struct flow *flow = flow_in(entry, six);
	__u32 words = six ? sizeof(struct tuple6) / 8 : sizeof(struct tuple4) / 8;
	__u64 owner = fresh->owner, *to = entry;

	for (__u32 i = 0; i < words; i++)
		to[i] = key->word[i];
	for (__u32 i = 1; i < sizeof(*flow) / 8; i++)
		((__u64 *)flow)[i] = ((__u64 *)fresh)[i];
	account(TOMBSTONE, owner);
	__sync_lock_test_and_set(&flow->owner, owner);
}

/* What look_for_room() finds, but a place. */
#define IN_USE 0 /* somebody is writing there */
#define NOWHERE 1
#define THERE_ALREADY 2
#define PLACE 3

static __always_inline __u32 place_in(struct bin *line)
{
	for (__u32 i = 0; i < REFERENCES; i++)
		if (!reference_in(line, i))
			return i;
	return REFERENCES;
}

/* A place for a reference, as long as the bin has that version: version:32 | PLACE + its index in both lines. */
static __always_inline __u64 look_for_room(union tuple *key, __u8 six)
{
	__u64 hash = hash_of_key(wanted(key, six), six);
	struct bin *first = bin_of(hash, 0, six), *second = bin_of(hash, 1, six);
	__u32 tag = tag_of(hash), version, place;

	if (!first || !second)
		return NOWHERE;
	version = __sync_fetch_and_add(&first->version, 0);
	if (version & LOCKED)
		return IN_USE;
	if (number_in(first, tag, wanted(key, six), six))
		return THERE_ALREADY;
	if (version & SPILLED && number_in(second, tag, wanted(key, six), six))
		return THERE_ALREADY;
	place = place_in(first);
	if (place == REFERENCES)
		place += place_in(second);
	return place == 2 * REFERENCES ? NOWHERE : (__u64)version << 32 | (PLACE + place);
}

/* Refers to the entry from that place, if its bin is as it was. */
static __always_inline int refer(union tuple *key, __u64 room, __u32 number, __u8 six)
{
	__u64 hash = hash_of_key(wanted(key, six), six);
	__u32 version = room >> 32, place = (__u32)room - PLACE, spilled = place < REFERENCES ? 0 : SPILLED;
	struct bin *first = bin_of(hash, 0, six), *line = bin_of(hash, !!spilled, six);

	if (spilled)
		place -= REFERENCES;
	if (!first || !line || place >= REFERENCES)
		return 0;
	if (__sync_val_compare_and_swap(&first->version, version, version | spilled | LOCKED) != version)
		return 0;
	*(volatile __u32 *)&line->reference[place] = tag_of(hash) | number;
	__sync_lock_test_and_set(&first->version, (version | spilled) + VERSION_STEP);
	return 1;
}

/* A new entry that nothing refers to yet, by number; 0: there is no room. */
static __always_inline __u32 make(union tuple *key, struct flow *fresh, __u8 six)
{
	__u32 number = take(six);
	void *entry = number ? entry_at(number, six) : NULL;

	if (!entry)
		return 0;
	furnish(entry, key, fresh, six);
	return number;
}

/* It remains so: the sweeper's. */
static __always_inline void give_up(__u32 number, __u8 six)
{
	void *entry = entry_at(number, six);
	struct flow *flow;

	if (!entry)
		return;
	flow = flow_in(entry, six);
	become(flow, owner_in(flow), FORSAKEN);
}

/* Each a function of its own, for the stack's sake. */
__noinline __u64 look_for_room4(struct tuple4 *key) { return key ? look_for_room((union tuple *)key, 0) : NOWHERE; }
__noinline __u64 look_for_room6(struct tuple6 *key) { return key ? look_for_room((union tuple *)key, 1) : NOWHERE; }
__noinline __u32 make4(struct tuple4 *key, struct flow *fresh) { return key && fresh ? make((union tuple *)key, fresh, 0) : 0; }
__noinline __u32 make6(struct tuple6 *key, struct flow *fresh) { return key && fresh ? make((union tuple *)key, fresh, 1) : 0; }
__noinline int refer4(struct tuple4 *key, __u64 room, __u32 number) { return key ? refer((union tuple *)key, room, number, 0) : 0; }
__noinline int refer6(struct tuple6 *key, __u64 room, __u32 number) { return key ? refer((union tuple *)key, room, number, 1) : 0; }
__noinline int give_up4(__u32 number) { give_up(number, 0); return 0; }
__noinline int give_up6(__u32 number) { give_up(number, 1); return 0; }

/* 0, -EEXIST if the key is there, or -E2BIG if there is no room. */
static __always_inline long insert_inline(union tuple *key, struct flow *fresh, __u8 six)
{
	__u64 room = NOWHERE;
	__u32 number = 0;

	for (__u32 i = 0; i < INSERT_TRIES; i++) {
		room = six ? look_for_room6(&key->v6) : look_for_room4(&key->v4);
		if (room == IN_USE)
			continue;
		if (room < PLACE)
			break;
		if (!number)
			number = six ? make6(&key->v6, fresh) : make4(&key->v4, fresh);
		if (!number)
			return -E2BIG;
		if (six ? refer6(&key->v6, room, number) : refer4(&key->v4, room, number))
			return 0;
	}
	if (number && six)
		give_up6(number);
	else if (number)
		give_up4(number);
	return room == THERE_ALREADY ? -EEXIST : -E2BIG;
}

__noinline long insert4(struct tuple4 *key, struct flow *fresh)
{
	return key && fresh ? insert_inline((union tuple *)key, fresh, 0) : -E2BIG;
}

__noinline long insert6(struct tuple6 *key, struct flow *fresh)
{
	return key && fresh ? insert_inline((union tuple *)key, fresh, 1) : -E2BIG;
}

static __always_inline long try_insert(struct packet *p, union tuple *key, struct flow *flow)
{
	return p->six ? insert6(&key->v6, flow) : insert4(&key->v4, flow);
}

/* False if there is no room, or another CPU has inserted the key. */
static __always_inline int insert(struct packet *p, union tuple *key, struct flow *flow)
{
	return !try_insert(p, key, flow);
}

#endif
