// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The other end of a tunnel (forward_tun.h): on a server, takes packets to a VIP
 * out of what the balancer has put around them, and hands them to the stack. In
 * place of the kernel's ipip and fou devices, which not every kernel has, and
 * which would take packets from anyone.
 *
 * At tcx, since on a veth XDP would cost the peer its segmentation offload, and
 * so every packet of the server that never saw a tunnel.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "checksum.h"
#include "types.h"
#include "words.h"

/* Of Linux 6.3 and 6.6; older headers do not have them. */
#define DECAP_IPV4 (1ULL << 7) /* BPF_F_ADJ_ROOM_DECAP_L3_IPV4 */
#define DECAP_IPV6 (1ULL << 8) /* BPF_F_ADJ_ROOM_DECAP_L3_IPV6 */
#define NEXT (-1)	       /* TCX_NEXT */
#define DROP 2		       /* TCX_DROP */

/* What is no tunnel of ours is not counted: it is most of what a server gets. */
#define DECAP_VERDICTS(V)                                                                          \
	V(UNWRAPPED, "unwrapped: the packet inside goes to the stack")                                  \
	V(OUTER_FRAGMENT, "dropped: a fragment of a tunnel's packet; the balancer makes none")          \
	V(OUTER_BAD_HEADER, "dropped: IP options, or lengths that cannot be")                           \
	V(STRANGER, "dropped: not sent by the balancer")                                                \
	V(INNER_BAD_HEADER, "dropped: no whole IPv4 or IPv6 packet is inside")                          \
	V(INNER_NOT_VIP, "dropped: the packet inside is to no service's address")                       \
	V(CONGESTION_LOST, "dropped: marked as congested, which the packet inside cannot be told")      \
	V(STUCK, "dropped: the kernel would not take the outer header off")

enum decap_verdict {
	DECAP_VERDICTS(AS_ENUMERATOR) DECAP_VERDICT_COUNT,
	NO_TUNNEL = DECAP_VERDICT_COUNT, /* goes on as it came */
};

const struct words decap_words[] SEC(".rodata.words") = { DECAP_VERDICTS(AS_WORDS) };

#pragma clang diagnostic push
#pragma clang diagnostic error "-Wpadded"

/* One of the server's addresses that tunnels lead to. */
struct tunnel_end {
	struct address addr;
	__be16 gue; /* UDP port; 0: IPIP */
	__u16 zero;
};

/* The key of a longest-prefix map. */
struct source {
	__u32 bits;
	struct address addr;
};

#pragma clang diagnostic pop

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct tunnel_end);
	__type(value, __u32);
} decap_ends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 256);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct source);
	__type(value, __u32);
} decap_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct address);
	__type(value, __u32);
} decap_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECAP_VERDICT_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} decap_verdicts SEC(".maps");

/* What is around a packet. */
struct outside {
	__u32 length; /* of its headers */
	__u32 bytes;  /* from its IP header on, with what is inside */
	__u8 proto;   /* IPPROTO_IPIP, _IPV6 or _UDP */
	__u8 ecn;
	struct address src;
	struct tunnel_end end;
};

/* Explicit congestion notification (RFC 3168). */
enum ecn {
	NOT_CAPABLE = 0,
	CONGESTED = 3,
};

/* Does a tunnel end here? A port of 0 stands for IPIP, so no UDP header may bear it. */
static __always_inline int is_end(struct outside *o)
{
	if (o->proto == IPPROTO_UDP ? !o->end.gue : o->proto != IPPROTO_IPIP && o->proto != IPPROTO_IPV6)
		return 0;
	return bpf_map_lookup_elem(&decap_ends, &o->end) != NULL;
}

/* Reads a UDP header behind these bytes, if there is one. */
static __always_inline struct udphdr *udp_behind(struct __sk_buff *skb, __u32 length)
{
	struct udphdr *udp = (void *)(long)skb->data + sizeof(struct ethhdr) + length;

	return (void *)(udp + 1) <= (void *)(long)skb->data_end ? udp : NULL;
}

static __always_inline enum decap_verdict read_outer4(struct __sk_buff *skb, struct outside *o)
{
	struct iphdr *ip = (void *)(long)skb->data + sizeof(struct ethhdr);
	struct udphdr *udp;

	if ((void *)(ip + 1) > (void *)(long)skb->data_end)
		return NO_TUNNEL;
	*o = (struct outside){
		.length = sizeof(*ip), .proto = ip->protocol, .ecn = ip->tos & 3,
		.src = mapped(ip->saddr), .end.addr = mapped(ip->daddr),
	};
	if (o->proto == IPPROTO_UDP) {
		udp = udp_behind(skb, sizeof(*ip));
		if (!udp || ip->ihl != 5 || ip->frag_off & bpf_htons(0x1fff))
			return NO_TUNNEL; /* nobody can say */
		o->end.gue = udp->dest;
		o->length += sizeof(*udp);
	}
	if (!is_end(o))
		return NO_TUNNEL;
	if (ip->frag_off & bpf_htons(0x3fff))
		return OUTER_FRAGMENT;
	o->bytes = bpf_ntohs(ip->tot_len);
	if (ip->ihl != 5 || o->bytes + sizeof(struct ethhdr) > skb->len || o->bytes < o->length)
		return OUTER_BAD_HEADER;
	return UNWRAPPED;
}

static __always_inline enum decap_verdict read_outer6(struct __sk_buff *skb, struct outside *o)
{
	struct ipv6hdr *ip6 = (void *)(long)skb->data + sizeof(struct ethhdr);
	struct udphdr *udp;

	if ((void *)(ip6 + 1) > (void *)(long)skb->data_end)
		return NO_TUNNEL;
	*o = (struct outside){
		.length = sizeof(*ip6), .proto = ip6->nexthdr, .ecn = ip6->flow_lbl[0] >> 4 & 3,
		.src = *(struct address *)&ip6->saddr, .end.addr = *(struct address *)&ip6->daddr,
	};
	if (o->proto == IPPROTO_UDP) {
		udp = udp_behind(skb, sizeof(*ip6));
		if (!udp)
			return NO_TUNNEL;
		o->end.gue = udp->dest;
		o->length += sizeof(*udp);
	}
	if (!is_end(o))
		return NO_TUNNEL;
	o->bytes = sizeof(*ip6) + bpf_ntohs(ip6->payload_len);
	if (o->bytes + sizeof(struct ethhdr) > skb->len || o->bytes < o->length)
		return OUTER_BAD_HEADER;
	return UNWRAPPED;
}

/* The packet inside is whole, to a VIP, and bears what the outer one says of congestion (RFC 6040, section 4.2). */
static __always_inline enum decap_verdict check_inner4(struct __sk_buff *skb, struct outside *o, __u32 length)
{
	struct iphdr *ip = (void *)(long)skb->data + sizeof(struct ethhdr) + length;
	struct address dst;
	__u8 tos;

	if ((void *)(ip + 1) > (void *)(long)skb->data_end || ip->version != 4 || ip->ihl < 5 ||
	    bpf_ntohs(ip->tot_len) < ip->ihl * 4 ||
	    bpf_ntohs(ip->tot_len) + length > o->bytes)
		return INNER_BAD_HEADER;
	dst = mapped(ip->daddr);
	if (!bpf_map_lookup_elem(&decap_vips, &dst))
		return INNER_NOT_VIP;
	tos = ip->tos;
	if (o->ecn != CONGESTED || (tos & 3) == CONGESTED)
		return UNWRAPPED;
	if ((tos & 3) == NOT_CAPABLE)
		return CONGESTION_LOST;
	ip->check = mend(ip->check, change16(bpf_htons(tos), bpf_htons(tos | CONGESTED)));
	ip->tos = tos | CONGESTED;
	return UNWRAPPED;
}

static __always_inline enum decap_verdict check_inner6(struct __sk_buff *skb, struct outside *o, __u32 length)
{
	struct ipv6hdr *ip6 = (void *)(long)skb->data + sizeof(struct ethhdr) + length;
	struct address dst;
	__u8 ecn;

	if ((void *)(ip6 + 1) > (void *)(long)skb->data_end || ip6->version != 6 ||
	    bpf_ntohs(ip6->payload_len) + sizeof(*ip6) + length > o->bytes)
		return INNER_BAD_HEADER;
	dst = *(struct address *)&ip6->daddr;
	if (!bpf_map_lookup_elem(&decap_vips, &dst))
		return INNER_NOT_VIP;
	ecn = ip6->flow_lbl[0] >> 4 & 3;
	if (o->ecn != CONGESTED || ecn == CONGESTED)
		return UNWRAPPED;
	if (ecn == NOT_CAPABLE)
		return CONGESTION_LOST;
	ip6->flow_lbl[0] |= CONGESTED << 4;
	return UNWRAPPED;
}

/* The family of what is inside: IPIP's protocol names it, of GUE the packet's version does. */
static __always_inline int is_six_inside(struct __sk_buff *skb, struct outside *o, __u32 length)
{
	__u8 *first = (void *)(long)skb->data + sizeof(struct ethhdr) + length;

	if (o->proto != IPPROTO_UDP)
		return o->proto == IPPROTO_IPV6;
	return (void *)(first + 1) <= (void *)(long)skb->data_end && *first >> 4 == 6;
}

/*
 * Takes the outer headers off. The stack goes by skb->protocol, which the helper
 * sets; the Ethernet header's type is for whoever looks at the packet.
 */
static __always_inline enum decap_verdict unwrap(struct __sk_buff *skb, __u32 length, int six)
{
	__u64 family = six ? DECAP_IPV6 : DECAP_IPV4;
	struct ethhdr *eth;

	/* Segments that were merged keep their size, which is that of the packets inside. */
	if (bpf_skb_adjust_room(skb, -(int)length, BPF_ADJ_ROOM_MAC, family | BPF_F_ADJ_ROOM_FIXED_GSO))
		return STUCK;
	eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) <= (void *)(long)skb->data_end)
		eth->h_proto = six ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	return UNWRAPPED;
}

/* length, of all that is around the packet, is a constant here, for the verifier. */
static __always_inline enum decap_verdict handle_inner(struct __sk_buff *skb, struct outside *o, __u32 length)
{
	int six = is_six_inside(skb, o, length);
	enum decap_verdict why = six ? check_inner6(skb, o, length) : check_inner4(skb, o, length);

	return why == UNWRAPPED ? unwrap(skb, length, six) : why;
}

static __always_inline enum decap_verdict handle(struct __sk_buff *skb)
{
	const __u32 ip4 = sizeof(struct iphdr), ip6 = sizeof(struct ipv6hdr), udp = sizeof(struct udphdr);
	const __u32 longest = sizeof(struct ethhdr) + ip6 + udp + ip6;
	struct outside o;
	struct source from;
	enum decap_verdict why;

	if (skb->data_end - skb->data < longest)
		bpf_skb_pull_data(skb, skb->len < longest ? skb->len : longest);
	why = skb->protocol == bpf_htons(ETH_P_IP) ? read_outer4(skb, &o) : read_outer6(skb, &o);
	if (why != UNWRAPPED)
		return why;
	from = (struct source){ .bits = 128, .addr = o.src };
	if (!bpf_map_lookup_elem(&decap_sources, &from))
		return STRANGER;
	switch (o.length) {
	case ip4:
		return handle_inner(skb, &o, ip4);
	case ip4 + udp:
		return handle_inner(skb, &o, ip4 + udp);
	case ip6:
		return handle_inner(skb, &o, ip6);
	}
	return handle_inner(skb, &o, ip6 + udp);
}

SEC("tcx/ingress")
int decap(struct __sk_buff *skb)
{
	__u32 why = NO_TUNNEL;
	__u64 *packets;

	if (skb->protocol == bpf_htons(ETH_P_IP) || skb->protocol == bpf_htons(ETH_P_IPV6))
		why = handle(skb);
	if (why == NO_TUNNEL)
		return NEXT;
	packets = bpf_map_lookup_elem(&decap_verdicts, &why);
	if (packets)
		++*packets;
	return why == UNWRAPPED ? NEXT : DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
