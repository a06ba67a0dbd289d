/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The free entries of a flow table: for each part of it a list, whose head is changed by
 * compare-and-swap, with a count of changes, so that it cannot be mistaken for what it once
 * was. CPUs begin with different parts, so they seldom meet. The entry freed last is used first. Those never used are at the list's end, in order of
 * their numbers, which takes no preparation: all zeros is an empty table.
 */
#ifndef LBCTL_VACANCY_H
#define LBCTL_VACANCY_H

#include "table.h"

#define TAKE_TRIES 8
#define GIVE_TRIES (1 << 20) /* each that fails is a flow that has begun elsewhere */

static __always_inline struct vacancy *vacancy_of(__u32 part, __u8 six)
{
	__u32 n = part + (six ? PARTS : 0);

	return bpf_map_lookup_elem(&vacancies, &n);
}

/* How many entries of the part, from index 0 on, ever were used. */
static __always_inline __u64 used(__u32 part, __u8 six)
{
	struct vacancy *vacancy = vacancy_of(part, six);

	return vacancy ? *(volatile __u64 *)&vacancy->used : 0;
}

static __always_inline __u32 number_of(__u32 part, __u32 index) { return part * part_entries + index + 1; }

/* The list's head, led to another entry. */
static __always_inline __u64 led_to(__u64 first, __u32 index) { return ((first >> 32) + 1) << 32 | index; }

static __always_inline __u32 take_from(__u32 part, __u8 six)
{
	struct vacancy *vacancy = vacancy_of(part, six);

	if (!vacancy)
		return 0;
	for (__u32 i = 0; i < TAKE_TRIES; i++) {
		__u64 first = *(volatile __u64 *)&vacancy->first;
		__u32 index = first, number = number_of(part, index), next;
		void *entry;

		if (index >= part_entries || number > flow_entries)
			return 0;
		entry = entry_at(number, six);
		if (!entry)
			return 0;
		next = *(volatile __u32 *)next_in(entry, six);
		if (__sync_val_compare_and_swap(&vacancy->first, first, led_to(first, next ? next - 1 : index + 1)) != first)
			continue;
		if (!next)
			__sync_fetch_and_add(&vacancy->used, 1);
		return number;
	}
	return 0;
}

static __always_inline __u32 take(__u8 six)
{
	__u32 own = bpf_get_smp_processor_id(), number;

	for (__u32 i = 0; i < PARTS; i++) {
		number = take_from((own + i) % PARTS, six);
		if (number)
			return number;
	}
	return 0;
}

/* The number of an entry for who inserts; 0: there is none, or too many CPUs want one. */
__noinline __u32 take4(void) { return take(0); }
__noinline __u32 take6(void) { return take(1); }

static __always_inline long try_to_give(__u32 number, __u8 six)
{
	__u32 part = (number - 1) / part_entries, index = (number - 1) % part_entries;
	struct vacancy *vacancy = vacancy_of(part, six);
	void *entry = entry_at(number, six);
	__u64 first;

	if (!vacancy || !entry)
		return 1;
	first = *(volatile __u64 *)&vacancy->first;
	*(volatile __u32 *)next_in(entry, six) = (__u32)first + 1;
	return __sync_val_compare_and_swap(&vacancy->first, first, led_to(first, index)) == first;
}

static long try_to_give4(__u64 i, __u32 *number) { (void)i; return try_to_give(*number, 0); }
static long try_to_give6(__u64 i, __u32 *number) { (void)i; return try_to_give(*number, 1); }

/* An entry that nothing refers to is free again. */
static __always_inline void give(__u32 number, __u8 six)
{
	if (six)
		bpf_loop(GIVE_TRIES, try_to_give6, &number, 0);
	else
		bpf_loop(GIVE_TRIES, try_to_give4, &number, 0);
}

#endif
