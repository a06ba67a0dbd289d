/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * New entries in a flow table, and the end of old ones.
 *
 * Who inserts reads the front line's version before it looks whether the key is there, in
 * either line. If the version is still the same, it locks it, writes the reference, and unlocks
 * it with the next version, so no key is there twice. Nothing gets in between these three steps
 * but an interrupt, or another thread where the program was run from one. Who finds the version
 * locked tries again, some time, and then does as if there were no room.
 */
#ifndef LBCTL_INSERT_H
#define LBCTL_INSERT_H

#include <asm-generic/errno-base.h>

#include "vacancy.h"

#define INSERT_TRIES 64
#define GIVE_UP_TRIES 4

/*
 * Puts into an entry what is to be found there, save for the reference to it. The load is
 * counted first: whoever finds the entry may change it, and account for that. The sweeper
 * finds it already: it must not take it for idle.
 */
static __always_inline void furnish(void *entry, union tuple *key, struct flow *fresh, __u8 six)
{
	struct flow *flow = flow_in(entry, six);
	__u32 keys = six ? sizeof(struct tuple6) / 8 : sizeof(struct tuple4) / 8;
	__u32 words = six ? sizeof(struct flow) / 8 : sizeof(struct flow4) / 8;
	__u64 owner = fresh->owner, *to = entry;

	for (__u32 i = 0; i < keys; i++)
		to[i] = key->word[i];
	for (__u32 i = 1; i < words; i++)
		((__u64 *)flow)[i] = ((__u64 *)fresh)[i];
	account(TOMBSTONE, owner);
	*(volatile __u64 *)&flow->owner = owner;
}

/* What look_for_room() finds, but a place. */
#define IN_USE 0 /* somebody is writing there */
#define NOWHERE 1
#define THERE_ALREADY 2
#define PLACE 3

/* Of place_in(): no place's number. */
#define KEY_FOUND (REFERENCES + 1)

/* Read before all that follows. A swap that is none is the cheapest way to say so. */
static __always_inline __u32 version_of(struct references *front)
{
	return __sync_val_compare_and_swap(&front->version, 0, 0);
}

/* What was written before is seen with the new version. */
static __always_inline void add(struct references *front, __u32 n)
{
	__u32 before = __sync_fetch_and_add(&front->version, n);

	asm volatile("" : "+r"(before)); /* unless it is used, it orders nothing on some machines */
}

/*
 * The first place in the line that is free, REFERENCES if there is none, or KEY_FOUND.
 * Places are counted without a branch, or the verifier would follow each count apart.
 */
static __always_inline __u32 place_in(struct references *line, __u32 tag, struct wanted key, __u8 six)
{
	__u64 full = 1, place = 0;

	for (__u32 i = 0; i < REFERENCES; i++) {
		__u32 reference = reference_in(line, i);
		__u64 taken = -(__u64)reference; /* its highest bit */
		void *entry;

		asm volatile("" : "+r"(taken));
		full &= taken >> 63;
		place += full;
		if ((reference ^ tag) & tag_mask)
			continue;
		entry = entry_at(reference & ~tag_mask, six);
		if (entry && is_key(entry, key, six))
			return KEY_FOUND;
	}
	return place;
}

/* A place for a reference, as long as the front line has that version: version:32 | PLACE + its index in both lines. */
static __always_inline __u64 look_for_room(union tuple *key, __u64 hash, __u8 six)
{
	struct references *front = front_of(hash, six), *back = back_of(hash, six);
	__u32 version, place, behind = 0;

	if (!front || !back)
		return NOWHERE;
	version = version_of(front);
	if (version & LOCKED)
		return IN_USE;
	place = place_in(front, tag_of(hash), wanted(key, six), six);
	if (place != KEY_FOUND && (place == REFERENCES || version & BEHIND))
		behind = place_in(back, tag_of(hash), wanted(key, six), six);
	if (place == KEY_FOUND || behind == KEY_FOUND)
		return THERE_ALREADY;
	if (place == REFERENCES)
		place += behind;
	return place == 2 * REFERENCES ? NOWHERE : (__u64)version << 32 | (PLACE + place);
}

/* Refers to the entry from that place, if the front line's version is as it was. */
static __always_inline int refer(__u64 hash, __u64 room, __u32 number, __u8 six)
{
	__u32 version = room >> 32, place = (__u32)room - PLACE, behind = place >= REFERENCES;
	struct references *front = front_of(hash, six), *line = behind ? back_of(hash, six) : front;

	if (behind)
		place -= REFERENCES;
	if (!front || !line || place >= REFERENCES)
		return 0;
	if (__sync_val_compare_and_swap(&front->version, version, (version | LOCKED) + behind * ONE_BEHIND) != version)
		return 0;
	*(volatile __u32 *)&line->reference[place] = tag_of(hash) | number;
	add(front, VERSION_STEP - LOCKED);
	return 1;
}

/* A new entry that nothing refers to yet, by number; 0: there is no room. */
static __always_inline __u32 make(union tuple *key, struct flow *fresh, __u8 six)
{
	__u32 number = six ? take6() : take4();
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
	__u64 owner;

	if (!entry)
		return;
	flow = flow_in(entry, six);
	for (__u32 i = 0; i < GIVE_UP_TRIES; i++) { /* who met an earlier flow there may change it, too */
		owner = owner_in(flow);
		if (!is_live(owner) || become(flow, owner, FORSAKEN) == owner)
			return;
	}
}

/* Each a function of its own, for the stack's sake. */
__noinline __u64 look_for_room4(struct tuple4 *key, __u64 hash)
{
	return key ? look_for_room((union tuple *)key, hash, 0) : NOWHERE;
}

__noinline __u64 look_for_room6(struct tuple6 *key, __u64 hash)
{
	return key ? look_for_room((union tuple *)key, hash, 1) : NOWHERE;
}

__noinline __u32 make4(struct tuple4 *key, struct flow *fresh) { return key && fresh ? make((union tuple *)key, fresh, 0) : 0; }
__noinline __u32 make6(struct tuple6 *key, struct flow *fresh) { return key && fresh ? make((union tuple *)key, fresh, 1) : 0; }
__noinline int refer4(__u64 hash, __u64 room, __u32 number) { return refer(hash, room, number, 0); }
__noinline int refer6(__u64 hash, __u64 room, __u32 number) { return refer(hash, room, number, 1); }
__noinline int give_up4(__u32 number) { give_up(number, 0); return 0; }
__noinline int give_up6(__u32 number) { give_up(number, 1); return 0; }

/* 0, -EEXIST if the key is there, or -E2BIG if there is no room. */
static __always_inline long insert_inline(union tuple *key, struct flow *fresh, __u8 six)
{
	__u64 hash = hash_of_key(wanted(key, six), six), room = NOWHERE;
	__u32 number = 0;

	for (__u32 i = 0; i < INSERT_TRIES; i++) {
		room = six ? look_for_room6(&key->v6, hash) : look_for_room4(&key->v4, hash);
		if (room == IN_USE)
			continue;
		if (room < PLACE)
			break;
		if (!number)
			number = six ? make6(&key->v6, fresh) : make4(&key->v4, fresh);
		if (!number)
			return -E2BIG;
		if (six ? refer6(hash, room, number) : refer4(hash, room, number))
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

/* The line refers to the entry no more. True if it did. */
static __always_inline int strike(struct references *line, __u32 number)
{
	for (__u32 i = 0; i < REFERENCES; i++) {
		if ((reference_in(line, i) & ~tag_mask) != number)
			continue;
		*(volatile __u32 *)&line->reference[i] = 0;
		return 1;
	}
	return 0;
}

/* The sweeper's: an entry that is BURIED is referred to no more, and free. */
static __always_inline void remove(void *entry, __u32 number, __u8 six)
{
	__u64 hash = hash_of_key(wanted(entry, six), six);
	struct references *front = front_of(hash, six), *back = back_of(hash, six);

	if (!front || !back)
		return;
	if (!strike(front, number) && strike(back, number))
		add(front, -ONE_BEHIND);
	give(number, six);
}

#endif
