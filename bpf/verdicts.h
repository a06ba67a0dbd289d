/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The fates of a packet: V(name, sentence). What is not ours goes to the stack,
 * what no sane sender sends is dropped. Each packet meets exactly one verdict.
 */
#ifndef LBCTL_VERDICTS_H
#define LBCTL_VERDICTS_H

#include <bpf/bpf_helpers.h>

#include "types.h"
#include "words.h"

#define VERDICTS(V)                                                                                \
	/* Passed to the stack. */                                                                      \
	V(NOT_IP, "passed: the frame is neither IPv4 nor IPv6, for example ARP or a VLAN tag")          \
	V(NOT_VIP, "passed: the destination is no service's address")                                   \
	V(NOT_OURS, "passed: the frame is addressed to another host or to a group")                     \
	V(OTHER_PROTOCOL, "passed: neither TCP nor UDP, for example a ping or neighbour discovery")       \
	V(NO_SERVICE, "passed: no service on this port of a service's address")                         \
	V(NO_BACKEND, "passed: the service has no eligible backend; the stack refuses it")              \
	V(ERROR_UNKNOWN, "passed: an ICMP error about no flow that is remembered")                      \
	/* Dropped. */                                                                                  \
	V(TRUNCATED_ETHERNET, "dropped: the frame is shorter than an Ethernet header")                  \
	V(TRUNCATED_IP, "dropped: the frame ends inside the IP header")                                 \
	V(BAD_IP_HEADER, "dropped: the IP version or header length is wrong")                           \
	V(BAD_IP_LENGTH, "dropped: the IP length is beyond the frame or below the headers")             \
	V(HAS_IP_OPTIONS, "dropped: IPv4 options or IPv6 extension headers, to a service's address")    \
	V(FRAGMENT, "dropped: a TCP or UDP fragment, whose flow cannot be known")                       \
	V(BAD_SOURCE, "dropped: the source is a loopback, group, mapped or unspecified address")        \
	V(TTL_EXPIRED, "dropped: the time to live or hop limit is used up, so forwarding could loop")   \
	V(TRUNCATED_TCP, "dropped: the packet ends inside the TCP header")                              \
	V(BAD_TCP_OFFSET, "dropped: the TCP data offset is below 5 or beyond the packet")               \
	V(BAD_TCP_FLAGS, "dropped: TCP flags that no client may send together")                         \
	V(BAD_TCP_PORT, "dropped: the TCP source port is 0")                                            \
	V(TRUNCATED_UDP, "dropped: the packet ends inside the UDP header")                              \
	V(BAD_UDP_LENGTH, "dropped: the UDP length is below its header's or beyond the packet")         \
	V(LAND, "dropped: source and destination are the same")                                         \
	V(STALE_REPLY, "dropped: a reply of a backend that may not have the flow any more")             \
	V(NAT_CLASH, "dropped: by another address or service the client's port is connected to this very server")  \
	V(LOST_FLOW, "dropped: the flow's backend is gone or down, and the service keeps it to that")       \
	V(NO_ROOM, "dropped: the flow table is full, and without an entry no reply could be translated")\
	V(SYN_LIMITED, "dropped: more SYNs in a second than the service takes from one client")          \
	V(COOKIE_WRONG, "dropped: neither a flow nor a valid cookie, while the service answers SYNs by cookies") \
	V(NO_TAILROOM, "dropped: the driver has no room beside the packet for the options of a SYN")    \
	V(NO_LOCAL_PORT, "dropped: fullnat has no local port for it: those tried are taken, or it is a RST of no flow") \
	V(BAD_ERROR, "dropped: an ICMP error that quotes less of a packet than its ports")              \
	V(TOO_BIG_UNTOLD, "dropped: it does not fit on the way, and too many senders were told of late")\
	/* Answered. */                                                                                 \
	V(TOO_BIG, "answered: it does not fit on the way, and the sender is told what does")            \
	V(TOO_BIG_NO_DF, "answered: the same of IPv4 without DF; the balancer does not fragment")       \
	V(COOKIE_SENT, "answered: a SYN, by a SYN-ACK with a cookie as its number; nothing is remembered") \
	V(NO_SYN_ACK, "answered: with a RST, what a backend that has got a client's SYN answers instead") \
	/* Forwarded. */                                                                                \
	V(KNOWN_FLOW, "forwarded: to the backend that the flow already has")                            \
	V(NEW_FLOW, "forwarded: to the backend chosen for a new flow")                                  \
	V(COOKIE_VALID, "forwarded: an ACK with a valid cookie, as a SYN to the backend chosen for it")   \
	V(COOKIE_AGAIN, "forwarded: as that SYN once more, which the backend has not answered yet")     \
	V(MOVED_FLOW, "forwarded: to another backend, the flow's own is gone or down")                  \
	V(ONE_PACKET, "forwarded: to the backend chosen for this datagram alone")                       \
	V(RESET_BACKEND, "forwarded: turned into a RST for a backend that is to let go of the flow")    \
	V(RESET_CLIENT, "answered: with a RST in the name of the service, for the backend is gone")     \
	V(ADOPTED, "forwarded: amid a connection that is not remembered, to the backend of its hash")   \
	V(DEGRADED, "forwarded: not remembered, the flow table is full, to the backend of its hash")    \
	V(BY_CONNECTION_ID, "forwarded: QUIC, to the backend that chose the connection ID, from a new address") \
	V(STRAY_RESET, "forwarded: a RST without a flow, not remembered")                               \
	V(REPLY, "forwarded: a backend's reply, to the client in the service's name")                   \
	V(ERROR_TO_BACKEND, "forwarded: an ICMP error, to the backend whose packet it is about")        \
	V(ERROR_TO_CLIENT, "forwarded: an ICMP error, to the client whose request it is about")         \
	/* Errors. */                                                                                   \
	V(BROKEN, "dropped: a map lacks what must be in it; this is a bug in lbctl")

enum verdict {
	VERDICTS(AS_ENUMERATOR)
	VERDICT_COUNT,
	SOUND = VERDICT_COUNT, /* no verdict yet: the packet is fit to be forwarded */
};

const struct words verdict_words[] SEC(".rodata.words") = { VERDICTS(AS_WORDS) };

#endif
