// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * For tests only: runs schedule() over the balancer's maps, step after step
 * without leaving the kernel, under a clock and dice of the test's.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

static __u64 clock, dice;

/* splitmix64 (S. Vigna, public domain). */
static inline __u32 draw(__u32 n)
{
	__u64 z = dice += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) % n;
}

#define NOW() clock
#define DRAW(n) draw(n)

#include "types.h"
#include "verdicts.h"
#include "maps.h"
#include "schedule.h"

#define STEPS 16384

/*
 * First a backend's state is set, if slot is not NO_SLOT; then a choice is made, if
 * service names one: by its policy, or by hash.
 */
struct step {
	struct request request;
	struct vip service;
	__u64 now;
	__u64 dice;
	__u64 flows;
	__u32 slot;
	__u32 overloaded;
	__u32 by_hash;
	__u32 chosen; /* the answer */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STEPS);
	__type(key, __u32);
	__type(value, struct step);
} steps SEC(".maps");

static void set(struct step *step)
{
	__u32 slot = step->slot;
	struct load *load = bpf_map_lookup_elem(&loads, &slot);
	struct backend *backend = bpf_map_lookup_elem(&backends, &slot);

	if (!load || !backend)
		return;
	load->flows = step->flows;
	backend->flags = (backend->flags & ~OVERLOADED) | (step->overloaded ? OVERLOADED : 0);
}

static __always_inline __u32 by_hash(struct service *service, struct request *request)
{
	__u32 slot = choose_by_hash(service, request);

	return backend_in(slot) ? slot : NO_SLOT;
}

static long take_step(__u32 i, void *nothing)
{
	struct step *step = bpf_map_lookup_elem(&steps, &i);
	struct service *service;
	struct request request;
	struct vip vip;

	(void)nothing;
	if (!step)
		return 1;
	if (step->slot != NO_SLOT)
		set(step);
	vip = step->service;
	service = bpf_map_lookup_elem(&services, &vip);
	if (!service)
		return 0;
	clock = step->now;
	dice = step->dice;
	request = step->request;
	step->chosen = step->by_hash ? by_hash(service, &request) : schedule(service, &request);
	return 0;
}

SEC("syscall")
int rehearse(__u32 *count)
{
	bpf_loop(*count, take_step, NULL, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
