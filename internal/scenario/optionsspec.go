package scenario

import (
	"math"

	"lbctl/internal/lb"
)

// OptionsSpec is what an L4 service may be told beyond policy and forward, as
// typed: the flags of ipvsadm and more. Its keys are keys of the service.
type OptionsSpec struct {
	Ports      Val[Bool]       `yaml:"ports" default:"(true for mh)" doc:"sh and mh: hash the client's port, too (sh-port, mh-port)."`
	Fallback   Val[Bool]       `yaml:"fallback" default:"(true for sh and mh)" doc:"sh and mh: another backend if the key's own takes nothing new (sh-fallback, mh-fallback); false refuses the client, as IPVS does unless told."`
	OnePacket  Val[Bool]       `yaml:"one_packet" default:"false" doc:"udp: each datagram is scheduled anew, nothing is remembered."`
	Persist    PersistSpec     `yaml:"persist" default:"(off)" doc:"All connections of a client go to one backend."`
	Lost       Val[LostWord]   `yaml:"lost" default:"move" doc:"What becomes of a flow whose backend is gone: move (to another backend, whose reset tells the client), drop (IPVS), expire (IPVS with expire_nodest_conn), reset (both ends are told)."`
	Tunnel     EncapSpec       `yaml:"tunnel" default:"(ipip)" doc:"tun: how packets are wrapped."`
	TOA        Val[Bool]       `yaml:"toa" default:"false" doc:"fullnat: tell the client's address in a TCP option."`
	QUIC       Val[Bool]       `yaml:"quic" default:"false" doc:"udp: stick to the connection ID that the backend chose."`
	SYNCookies Val[CookieWord] `yaml:"syn_cookies" default:"never" doc:"nat or fullnat, tcp: when SYNs are answered by cookies in the backend's place: never, auto (while the service is under a flood), always."`
	SYNFlood   Val[SYNRate]    `yaml:"syn_flood" default:"1000" doc:"syn_cookies auto: more SYNs in a second that no connection comes of are a flood, and half as many for ten seconds its end."`
	SYNLimit   Val[SYNRate]    `yaml:"syn_limit" default:"0" doc:"tcp: SYNs per second and client, of IPv6 per /64; 0: unlimited."`
	Mark       Val[Mark]       `yaml:"mark" default:"0" doc:"What ipvsadm -f calls the service, usually a group; 0: nothing, it goes by its VIP."`
}

// EncapSpec is an encapsulation as typed, where backends have addresses of their own.
type EncapSpec struct {
	Pos  Pos
	Kind Val[TunnelWord] `yaml:"kind" required:"true" short:"true" doc:"ipip (IP in IP) or gue (IP in UDP)."`
	Port Val[Port]       `yaml:"port" default:"6080" doc:"gue: UDP port."`
}

// The words of options.
type (
	CookieWord = Enum[cookies]
	SYNRate    = Int[synBounds]
	Mark       = Int[markBounds]
)

type (
	cookies    struct{}
	synBounds  struct{}
	markBounds struct{}
)

func (cookies) words() []string                   { return []string{"never", "auto", "always"} }
func (synBounds) bounds() (string, int64, int64)  { return "a number of SYNs", 0, math.MaxUint32 }
func (markBounds) bounds() (string, int64, int64) { return "a mark", 0, math.MaxUint32 }

// cookiesOf is when SYNs are answered by cookies, and from how many on.
func cookiesOf(when Val[CookieWord], flood Val[SYNRate]) (lb.SYNCookies, uint32) {
	if when.Value == "never" {
		return lb.SYNCookiesNever, 0
	}
	return lb.SYNCookies(when.Value), uint32(flood.Value)
}

// options resolves what was typed of a service with this policy.
func (o OptionsSpec) options(policy lb.Policy) lb.L4Options {
	o = filled(o)
	out := lb.L4Options{
		OnePacket: bool(o.OnePacket.Value),
		Persist:   o.Persist.persistence(),
		Lost:      lostOf(o.Lost.Value),
		TOA:       bool(o.TOA.Value),
		QUIC:      bool(o.QUIC.Value),
		SYNLimit:  uint32(o.SYNLimit.Value),
		Mark:      uint32(o.Mark.Value),
	}
	out.Ports, out.Fallback = hashing(policy, o.Ports, o.Fallback)
	out.SYNCookies, out.SYNFlood = cookiesOf(o.SYNCookies, o.SYNFlood)
	if o.Tunnel.Pos.IsSet() {
		out.Tunnel.Kind = lb.TunnelKind(o.Tunnel.Kind.Value)
		if out.Tunnel.Kind == lb.GUE {
			out.Tunnel.Port = uint16(filled(o.Tunnel).Port.Value)
		}
	}
	return out
}
