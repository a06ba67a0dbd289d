package scenario

import (
	"slices"

	"lbctl/internal/lb"
)

// maxXDPMTU is the largest packet that a native XDP program without fragments takes
// from a veth: a page less headroom, skb_shared_info and the Ethernet header
// (drivers/net/veth.c, veth_xdp_set), rounded down.
const maxXDPMTU = 3500

// refuse notes what the service asks for and its plane cannot do. A policy
// means one thing in both planes, so what one cannot do is refused rather than
// approximated.
func (r *resolver) refuse(s *service) {
	switch s.Plane {
	case lb.L4:
		r.refuseL4(s)
	case lb.L7:
		if at := s.spec.Forward.Pos; at.IsSet() {
			r.fail(at, "", "forward is for l4: l7 makes its own connections to backends")
		}
		for _, at := range []Pos{s.spec.Persist.Pos, s.spec.OnePacket.Pos, s.spec.Lost.Pos} {
			if at.IsSet() {
				r.fail(at, "", "persist, one_packet and lost are for l4: l7 has requests, not flows of packets")
			}
		}
		if at := s.spec.Mark.Pos; at.IsSet() {
			r.fail(at, "", "mark is for l4: ipvsadm does not know l7's services")
		}
		if at := s.spec.TOA.Pos; at.IsSet() {
			r.fail(at, "", "toa is for l4: l7 tells backends the client's address in a header")
		}
		for _, at := range []Pos{s.spec.SYNCookies.Pos, s.spec.SYNFlood.Pos, s.spec.SYNLimit.Pos} {
			if at.IsSet() {
				r.fail(at, "", "syn_cookies, syn_flood and syn_limit are for l4: under l7 the balancer's own stack has cookies (net.ipv4.tcp_syncookies)")
			}
		}
		if s.VIP.Proto == lb.UDP {
			r.fail(s.spec.Proto.Pos, "", "proto: l7 speaks HTTP/1.1, which needs tcp")
		}
		r.refuseManyL7(s)
		r.refuseL7Choice(s)
		r.refuseHTTP(s)
	}
}

func (r *resolver) refuseManyL7(s *service) {
	if at := s.spec.Prefix.Pos; at.IsSet() {
		r.fail(at, "", "prefix is for l4: l7 listens on one address")
	}
	if at := s.spec.Also.Pos; at.IsSet() {
		r.fail(at, "", "also is for l4: l7 listens on one address and port")
	}
	if at := s.spec.QUIC.Pos; at.IsSet() && s.L4.QUIC {
		r.fail(at, "", "quic is for l4: l7 speaks HTTP/1.1 over tcp")
	}
	if port := s.spec.Port; port.IsSet() && !port.Value.one() {
		r.fail(port.Pos, "", "port: %s is for l4: l7 listens on one port", port.Value)
	}
}

// l7Policies are those of internal/balance.
var l7Policies = []lb.Policy{
	lb.RoundRobin, lb.WeightedRoundRobin, lb.LeastConn, lb.WeightedLeastConn, lb.PowerOfTwo, lb.PeakEWMA, lb.Random, lb.SourceHash, lb.Maglev,
	lb.KeyHash, lb.First,
}

// onlyL7 are those of them that need to see requests, or their answers.
var onlyL7 = map[lb.Policy]string{
	lb.PowerOfTwo: "l4 has twos, by connections", lb.PeakEWMA: "l4 sees no answer whose time could be taken",
	lb.Random: "l4 has the kernel's schedulers, and none draws one at random", lb.KeyHash: "l4 sees no request to hash a part of", lb.First: "l4 has fo and ovf",
}

func (r *resolver) refuseL7Choice(s *service) {
	switch {
	case slices.Contains(l7Policies, s.Policy):
	case s.Policy == lb.DestinationHash, s.Policy == lb.LocalityLeastConn, s.Policy == lb.LocalityReplicated:
		r.fail(s.spec.Policy.Pos, "", "policy: %s goes by the address that clients ask for, and an l7 service has just one", s.Policy)
	default:
		r.fail(s.spec.Policy.Pos, "", "policy: %s is for l4, where it does as the kernel's scheduler; l7 does rr, wrr, lc, wlc, p2c, ewma, random, sh, mh, hash and first", s.Policy)
	}
	for key, at := range map[string]Pos{"ports": s.spec.Ports.Pos, "fallback": s.spec.Fallback.Pos} {
		if at.IsSet() {
			r.fail(at, "", "%s is for l4: l7's mh hashes the port, its sh does not, and both send clients on", key)
		}
	}
	for _, w := range s.want {
		for key, at := range map[string]Pos{"upper": w.spec.Upper.Pos, "lower": w.spec.Lower.Pos} {
			if at.IsSet() {
				r.fail(at, "", "%s is for l4: l7 has no thresholds, but max_conn", key)
			}
		}
	}
}

// refuseHashing notes what only sh and mh can be told.
func (r *resolver) refuseHashing(s *service) {
	if s.Policy == lb.SourceHash || s.Policy == lb.Maglev {
		return
	}
	if at := s.spec.Ports.Pos; at.IsSet() {
		r.fail(at, "", "ports is for sh and mh: %s hashes no port", s.Policy)
	}
	if at := s.spec.Fallback.Pos; at.IsSet() {
		r.fail(at, "", "fallback is for sh and mh: %s does not go on from a backend that takes nothing new", s.Policy)
	}
}

func (r *resolver) refuseL4(s *service) {
	spec := &s.spec
	r.refuseHashing(s)
	if at := spec.HTTP.Pos; at.IsSet() {
		r.fail(at, "", "http is for l7: l4 forwards packets and sees no request")
	}
	r.refuseL7Words(s)
	r.refuseQUIC(s)
	if s.L4.OnePacket && s.VIP.Proto != lb.UDP {
		r.fail(spec.OnePacket.Pos, "", "one_packet: want proto udp, for a TCP connection is more than one packet")
	}
	if s.L4.OnePacket && (s.Forward == lb.NAT || s.Forward == lb.FullNAT) {
		r.fail(spec.OnePacket.Pos, "", "one_packet: not under %s, where nothing remembered means that no reply can be translated", s.Forward)
	}
	r.refuseTOA(s)
	r.refuseDefence(s)
	if s.L4.Lost == lb.LostResets && s.VIP.Proto != lb.TCP {
		r.fail(spec.Lost.Pos, "", "lost: reset needs proto tcp, for only TCP has a RST")
	}
	for _, w := range s.want {
		if w.spec.Lower.IsSet() && w.spec.Lower.Value > w.spec.Upper.Value {
			r.fail(w.spec.Lower.Pos, "", "lower: %d is above upper, %d", w.spec.Lower.Value, w.spec.Upper.Value)
		}
		if s.Forward == lb.NAT || s.Forward == lb.FullNAT || !w.spec.Port.IsSet() || uint16(w.spec.Port.Value) == s.port {
			continue
		}
		if s.port == 0 {
			r.fail(w.spec.Port.Pos, "", "port: %s leaves packets as they are, and the service has several ports: a backend gets the one that the client asked for", s.Forward)
		} else {
			r.fail(w.spec.Port.Pos, "", "port: %s leaves packets as they are, so a backend must listen on the service's port %d", s.Forward, s.port)
		}
	}
	if r.balancer == nil || r.balancer.Hook != lb.HookNative {
		return
	}
	for i, net := range r.balancer.nets {
		if net.MTU > maxXDPMTU {
			at := net.at
			if e := r.spec.Networks.Entries; len(e) > 0 {
				at = e[indexOf(r.nets, net)].Value.MTU.Pos
			}
			r.fail(at, "", "mtu: native XDP takes at most %d bytes from eth%d of %s, one page; hook: auto and tcx have no such limit", maxXDPMTU, i, r.balancer.Name)
		}
	}
}

// refuseL7Words notes what only a proxy can do.
func (r *resolver) refuseL7Words(s *service) {
	if why := onlyL7[s.Policy]; why != "" {
		r.fail(s.spec.Policy.Pos, "", "policy: %s is for l7: %s", s.Policy, why)
	}
	if at := s.spec.VIP; isNone(at) {
		r.fail(at.Pos, "", "vip: none is for l7, where routes of other services lead to a service")
	}
	for _, w := range s.want {
		if at := w.spec.MaxConn.Pos; at.IsSet() {
			r.fail(at, "", "max_conn is for l7: l4 has upper and lower")
		}
		if at := w.spec.Backup.Pos; at.IsSet() {
			r.fail(at, "", "backup is for l7: l4 has fo, which chooses the heaviest")
		}
	}
}

// refuseTOA notes what has no client to tell of, or nothing to tell it by.
func (r *resolver) refuseTOA(s *service) {
	switch tcp := slices.ContainsFunc(s.matches, func(m *match) bool { return m.proto == lb.TCP }); {
	case !s.L4.TOA:
	case s.Forward != lb.FullNAT:
		r.fail(s.spec.TOA.Pos, "", "toa is for forward: fullnat: under %s backends see the client's address", s.Forward)
	case !tcp:
		r.fail(s.spec.TOA.Pos, "", "toa needs proto: tcp, or an entry of also with it")
	}
}

// refuseDefence notes what has no SYNs to be defended against, or nobody to answer them.
func (r *resolver) refuseDefence(s *service) {
	at := s.spec.SYNCookies.Pos
	if s.L4.SYNCookies == lb.SYNCookiesNever {
		at = s.spec.SYNLimit.Pos
	}
	switch {
	case s.L4.SYNCookies == lb.SYNCookiesNever && s.L4.SYNLimit == 0:
		if at := s.spec.SYNFlood.Pos; at.IsSet() {
			r.fail(at, "", "syn_flood is for syn_cookies: auto")
		}
	case s.VIP.Proto != lb.TCP:
		r.fail(at, "", "syn_cookies and syn_limit need proto: tcp, for only TCP has SYNs")
	case s.L4.SYNCookies != lb.SYNCookiesNever && s.Forward != lb.NAT && s.Forward != lb.FullNAT:
		r.fail(at, "", "syn_cookies: not under %s, where replies do not pass the balancer: nobody could translate a backend's sequence numbers to those that its client was told; nat and fullnat can", s.Forward)
	}
}

func (r *resolver) refuseQUIC(s *service) {
	udp := slices.ContainsFunc(s.matches, func(m *match) bool { return m.proto == lb.UDP })
	if s.L4.QUIC && !udp {
		r.fail(s.spec.QUIC.Pos, "", "quic needs proto: udp, or an entry of also with it")
	}
	seen := map[ServerID]string{}
	for _, w := range s.want {
		id := w.spec.ServerID
		if !id.IsSet() {
			continue
		}
		if other := seen[id.Value]; other != "" {
			r.fail(id.Pos, "", "server_id: %d is that of %s", id.Value, other)
		}
		seen[id.Value] = w.node.Name
		if !s.L4.QUIC {
			r.fail(id.Pos, "", "server_id is for a service with quic: true")
		}
	}
}

func indexOf[T comparable](items []T, item T) int {
	for i := range items {
		if items[i] == item {
			return i
		}
	}
	return -1
}
