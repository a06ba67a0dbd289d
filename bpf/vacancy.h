/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The free entries of a flow table: a list whose head is changed by compare-and-swap,
 * with a count of changes, so that it cannot be mistaken for what it once was. The entry freed
 * last is used first. Those never used are at the list's end, in order of their numbers, which
 * takes no preparation: all zeros is an empty table.
 */
#ifndef LBCTL_VACANCY_H
#define LBCTL_VACANCY_H

#include "table.h"

#define TAKE_TRIES 32
#define GIVE_TRIES (1 << 20) /* each that fails is a flow that has begun elsewhere */

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

/* An entry that nothing refers to is free again. */
static __always_inline void give(__u32 number, __u8 six)
{
	if (six)
		bpf_loop(GIVE_TRIES, try_to_give6, &number, 0);
	else
		bpf_loop(GIVE_TRIES, try_to_give4, &number, 0);
}

#endif
