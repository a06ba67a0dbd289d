/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The flow tables: entries by number, and lines of references that lead from keys to
 * them. All of it is in arrays, so looking up is done in line, and touches two lines of the
 * cache as a rule: one of references, and the entry's.
 *
 * A key has a front line and a back line. Front lines are few: while the table has few flows
 * they are all that is needed, and lie in the cache. Of one whose front line is full the
 * reference is in the back line. Several back lines belong to each front line, by further bits
 * of the hash, and to no other; how many references they have, the front line tells. Where both
 * lines are full nothing new is taken, as if the table were full: of a full table's flows that
 * is one in a million.
 *
 * Who looks up takes no lock: a reference is one word, written after all that it leads to.
 */
#ifndef LBCTL_TABLE_H
#define LBCTL_TABLE_H

#include "owner.h"

/* The key of either table; the packet's family says which. */
union tuple {
	struct tuple4 v4;
	struct tuple6 v6;
	__u64 word[sizeof(struct tuple6) / 8];
};

_Static_assert(sizeof(struct entry4) == 64 && sizeof(struct entry6) % 64 == 0 && sizeof(struct references) == 64,
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

/*
 * A sum of products with secret factors: nobody can tell which keys have the same one, or
 * sums that differ by a known number. It is linear, so its bits are mixed in the end.
 */
static __always_inline __u64 hash_of_key(struct wanted key, __u8 six)
{
	__u32 words = six ? 4 : 1;
	__u64 sum = 0;

	for (__u32 i = 0; i < words; i++)
		sum += (__u32)key.addresses[i] * secrets[2 * i] + (key.addresses[i] >> 32) * secrets[2 * i + 1];
	sum += (__u32)key.ports * secrets[2 * words] + (key.ports >> 32) * secrets[2 * words + 1];
	sum = (sum ^ sum >> 32) * 0xc4ceb9fe1a85ec53ULL; /* of MurmurHash3's fmix64 */
	return sum ^ sum >> 32;
}

static __always_inline int is_key(const __u64 *words, struct wanted key, __u8 six)
{
	__u64 differ = words[0] ^ key.addresses[0];

	if (six)
		differ |= (words[1] ^ key.addresses[1]) | (words[2] ^ key.addresses[2]) | (words[3] ^ key.addresses[3]);
	return !(differ | (words[six ? 4 : 1] ^ key.ports));
}

static __always_inline struct references *line_at(__u32 n, __u8 six)
{
	return six ? bpf_map_lookup_elem(&reference_lines6, &n) : bpf_map_lookup_elem(&reference_lines, &n);
}

static __always_inline struct references *front_of(__u64 hash, __u8 six) { return line_at(hash & front_mask, six); }

static __always_inline struct references *back_of(__u64 hash, __u8 six)
{
	return line_at(front_mask + 1 + (hash & back_mask), six);
}

static __always_inline __u32 tag_of(__u64 hash) { return hash >> 32 & tag_mask; }
static __always_inline __u32 reference_in(struct references *b, __u32 i) { return *(volatile __u32 *)&b->reference[i]; }

/* Either begins with its key. */
static __always_inline void *entry_at(__u32 number, __u8 six)
{
	return six ? bpf_map_lookup_elem(&flows6, &number) : bpf_map_lookup_elem(&flows, &number);
}

static __always_inline struct flow *flow_in(void *entry, __u8 six)
{
	return six ? &((struct entry6 *)entry)->flow : (struct flow *)&((struct entry4 *)entry)->flow;
}

static __always_inline __u32 *next_in(void *entry, __u8 six)
{
	return six ? &((struct entry6 *)entry)->next : &((struct entry4 *)entry)->next;
}

/* The number of the entry with that key that the line refers to, or 0. */
static __always_inline __u32 number_in(struct references *line, __u32 tag, struct wanted key, __u8 six)
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

static __always_inline __u32 find_behind(__u64 hash, struct wanted key, __u8 six)
{
	struct references *back = back_of(hash, six);

	return back ? number_in(back, tag_of(hash), key, six) : 0;
}

/* Not in line, for the stack's sake. Static, as addresses may be in the packet. */
static __noinline __u32 find_behind4(__u64 hash, const __u64 *addresses, __u64 ports)
{
	return find_behind(hash, (struct wanted){ addresses, ports }, 0);
}

static __noinline __u32 find_behind6(__u64 hash, const __u64 *addresses, __u64 ports)
{
	return find_behind(hash, (struct wanted){ addresses, ports }, 1);
}

/* The number of the entry with that key, or 0. */
static __always_inline __u32 find(struct wanted key, __u8 six)
{
	__u64 hash = hash_of_key(key, six);
	struct references *front = front_of(hash, six);
	__u32 number;

	if (!front)
		return 0;
	number = number_in(front, tag_of(hash), key, six);
	if (number || !(*(volatile __u32 *)&front->version & BEHIND))
		return number;
	return six ? find_behind6(hash, key.addresses, key.ports) : find_behind4(hash, key.addresses, key.ports);
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

#endif
