package scenario

import "github.com/goccy/go-yaml/ast"

// Spec is a scenario as it was typed. Its struct tags are the one description
// of the language: the decoder, the JSON Schema, the defaults and
// docs/scenario.md are made from them (see field).
type Spec struct {
	Pos       Pos
	Name      Val[LabName]                  `yaml:"name" required:"true" doc:"Name of the lab."`
	IPv6      Val[Bool]                     `yaml:"ipv6" default:"false" doc:"Give every network an IPv6 subnet beside its IPv4 one."`
	Clients   Val[Clients]                  `yaml:"clients" default:"(1, or 0 if nodes declares a client)" doc:"Make clients c1, c2 and so on."`
	Servers   Val[Servers]                  `yaml:"servers" default:"(3, or 0 if nodes declares a server)" doc:"Make servers s1, s2 and so on."`
	Balancers Val[Balancers]                `yaml:"balancers" default:"(1, or 0 if nodes declares a balancer)" doc:"Make balancers lb1 and lb2. Of two, one is active and the other its standby."`
	Networks  Map[NetworkName, NetworkSpec] `yaml:"networks" default:"(one, lan)" doc:"Networks by name."`
	Nodes     Map[NodeName, NodeSpec]       `yaml:"nodes" default:"(none)" doc:"Nodes by name. An entry for c1, s1 or lb1 that clients, servers or balancers makes refines it, any other adds a node."`
	Services  Map[NodeName, ServiceSpec]    `yaml:"services" required:"true" doc:"Services by name."`
	Failover  FailoverSpec                  `yaml:"failover" default:"(those below)" doc:"With two balancers: how the standby takes over."`
	Checks    Map[NodeName, CheckSpec]      `yaml:"checks" default:"(none)" doc:"Checks by name. One named default replaces the default check."`
	Workloads Map[NodeName, WorkloadSpec]   `yaml:"workloads" default:"(keepalive: 64 connections; connect: the same with keepalive: false)" doc:"Kinds of load by name."`
	Compare   CompareSpec                   `yaml:"compare" default:"(nothing is compared)" doc:"Services to measure side by side."`

	src *source
}

// NetworkSpec is one network as typed.
type NetworkSpec struct {
	Pos     Pos
	Subnet  Val[Prefix] `yaml:"subnet" default:"(the next free /20 of 198.18.0.0/15)" doc:"IPv4 subnet, from /16 to /26. A sixteenth of it, at most 256 addresses, is for routers, the next for clients, balancers, VIPs, and the rest for servers."`
	IPv6    Val[Bool]   `yaml:"ipv6" default:"(the scenario's, or true with subnet6)" doc:"Give the network an IPv6 subnet."`
	Subnet6 Val[Prefix] `yaml:"subnet6" default:"(the next free /64 of 2001:2::/48, with ipv6)" doc:"IPv6 subnet, a /64."`
	MTU     Val[MTU]    `yaml:"mtu" default:"1500" doc:"Bytes in a packet."`
}

// NodeSpec is one node as typed.
type NodeSpec struct {
	Pos      Pos
	Role     Val[RoleWord]                    `yaml:"role" default:"(required, unless clients or servers makes the node)" doc:"What the node is for."`
	Networks List[LinkSpec]                   `yaml:"networks" default:"(clients: the first; routers: all; others: the last)" doc:"Networks that the node has a link to, in the order of eth0, eth1 and so on."`
	Ports    List[Val[Port]]                  `yaml:"ports" default:"(those of backends and checks on the node)" doc:"Servers only: further ports to listen on."`
	Body     Val[Size]                        `yaml:"body" default:"128" doc:"Servers only: bytes of the response to /. The default fits one segment with its head: what is measured is the request, not the copying."`
	Hook     Val[HookWord]                    `yaml:"hook" default:"(auto)" doc:"Balancers only: where l4 takes packets: native (XDP in the driver), generic (XDP in the stack) or tcx (the first step of traffic control); auto is the one that serves veths best here. XDP needs TX checksum offload off, and so segmentation offload, on every link of the lab; with tcx they stay on, for all that is compared."`
	L7       L7Spec                           `yaml:"l7" default:"(loop; a standby: as the other balancer)" doc:"Balancers only: how the l7 plane spends processes and threads."`
	Sysctls  Map[SysctlKey, Val[SysctlValue]] `yaml:"sysctls" default:"(see Sysctls)" doc:"Kernel parameters of the node's namespace, after those that the lab sets."`
	Routes   List[RouteSpec]                  `yaml:"routes" default:"(shortest paths over routers)" doc:"Routes that replace computed ones to the same destination, or add to them."`
}

// LinkSpec is one link of a node as typed.
type LinkSpec struct {
	Pos      Pos
	Network  Val[NetworkName] `yaml:"network" required:"true" short:"true" doc:"Name of the network."`
	Address  Val[Addr]        `yaml:"address" default:"(by role and number)" doc:"IPv4 address of the node there."`
	Address6 Val[Addr]        `yaml:"address6" default:"(by role and number)" doc:"IPv6 address of the node there."`
}

// RouteSpec is one route as typed.
type RouteSpec struct {
	Pos Pos
	To  Val[Destination] `yaml:"to" required:"true" doc:"Destination network, or default."`
	Via Val[Addr]        `yaml:"via" required:"true" doc:"Next hop, an address on a network of the node."`
}

// ServiceSpec is one service as typed.
type ServiceSpec struct {
	Pos      Pos
	Plane    Val[PlaneWord]    `yaml:"plane" required:"true" doc:"What forwards: l4 (packets, in XDP) or l7 (HTTP requests, in a proxy)."`
	VIP      Val[Endpoint]     `yaml:"vip" default:"(the next free address for VIPs)" doc:"Address of the service, with or without port. One IPv6 address with a port needs quotes. none, on l7: only routes of other services lead to it."`
	Prefix   Val[Prefix]       `yaml:"prefix" default:"(a vip)" doc:"l4 only: a prefix of addresses off all networks, instead of a VIP. Clients and routers send it to the balancer."`
	Port     Val[PortRange]    `yaml:"port" default:"(that of vip, or 80)" doc:"Port of the service, and of its backends; on l4 also a range of ports, or any."`
	Also     List[MatchSpec]   `yaml:"also" default:"(nothing)" doc:"l4 only: what clients may address beside, as one service with one set of backends."`
	Proto    Val[ProtoWord]    `yaml:"proto" default:"tcp" doc:"Transport protocol."`
	IPv6     Val[Bool]         `yaml:"ipv6" default:"(that of vip, or false)" doc:"Take an IPv6 address for the VIP. Backends are of the VIP's family."`
	Network  Val[NetworkName]  `yaml:"network" default:"(the one that holds vip, or the balancer's first)" doc:"Network of the balancer that the VIP is on."`
	Forward  Val[ForwardWord]  `yaml:"forward" default:"(dr on l4)" doc:"How l4 delivers to backends: dr (their MAC address), nat (address and port translated both ways), tun (inside another packet, over routers too), fullnat (as nat, and the client's end becomes one of the balancer's, so that replies come back to it by any route)."`
	TOA      Val[Bool]         `yaml:"toa" default:"false" doc:"l4 with fullnat and proto tcp only: tell backends the client's address, in a TCP option of the handshake."`
	Tunnel   TunnelSpec        `yaml:"tunnel" default:"(those below)" doc:"tun only: what is put around packets."`
	Policy   Val[PolicyWord]   `yaml:"policy" default:"(mh on l4, wrr on l7)" doc:"How a backend is chosen: rr, wrr (round robin, weighted), lc, wlc (least connections, weighted), sh (source address hash), mh (Maglev hash); on l4 also sed, nq, fo, ovf, twos, dh, lblc, lblcr, on l7 also p2c, ewma, random, hash, first (see the glossary)."`
	Ports    Val[Bool]         `yaml:"ports" default:"(true for mh)" doc:"l4 with sh or mh only: hash the client's port beside its address."`
	Fallback Val[Bool]         `yaml:"fallback" default:"(true for sh and mh)" doc:"l4 with sh or mh only: clients whose backend weighs 0 or is overloaded go to another; false refuses them, as IPVS does unless told."`
	QUIC     Val[Bool]         `yaml:"quic" default:"false" doc:"l4 only, proto udp: packets go to the backend whose server ID is in their connection ID, also after the client's address has changed."`
	Check    CheckRef          `yaml:"check" default:"default" doc:"What judges the backends: the name of a check, a check, or none."`
	Backends List[BackendSpec] `yaml:"backends" default:"(every server)" doc:"Backends: names of servers, or mappings."`
	HTTP     HTTPSpec          `yaml:"http" default:"(those below)" doc:"l7 only: how requests are treated, and where they go."`

	Persist   PersistSpec   `yaml:"persist" default:"(off)" doc:"l4 only: a client's connections all go to one backend; how long after the last one, or a mapping."`
	OnePacket Val[Bool]     `yaml:"one_packet" default:"false" doc:"l4 with proto udp only: each datagram goes to a backend of its own, and none is remembered."`
	Lost      Val[LostWord] `yaml:"lost" default:"move" doc:"l4 only: what becomes of a connection whose backend is disabled, down or gone. move (to another backend, which resets it), drop (its packets are, until it is idle for long), expire (it is forgotten), reset (both ends get a RST)."`
	Mark      Val[Mark]     `yaml:"mark" default:"0" doc:"l4 only: what ipvsadm -f calls the service, usually a group of addresses and ports (also); 0: nothing, it goes by its VIP."`

	SYNCookies Val[CookieWord] `yaml:"syn_cookies" default:"never" doc:"l4 with nat or fullnat and proto tcp only: when SYNs are answered by cookies in the backend's place. never, auto (while the service is under a flood), always."`
	SYNFlood   Val[SYNRate]    `yaml:"syn_flood" default:"1000" doc:"syn_cookies: auto only: more SYNs in a second that no connection comes of are a flood, and half as many for ten seconds its end."`
	SYNLimit   Val[SYNRate]    `yaml:"syn_limit" default:"0" doc:"l4 with proto tcp only: SYNs per second and client, of IPv6 per /64; 0: unlimited."`
}

// MatchSpec is what clients may address beside a service's VIP, as typed.
type MatchSpec struct {
	Pos    Pos
	VIP    Val[Endpoint]  `yaml:"vip" default:"(the service's)" short:"true" doc:"An address, with or without port."`
	Prefix Val[Prefix]    `yaml:"prefix" default:"(the service's)" doc:"A prefix of addresses off all networks, instead of vip."`
	Port   Val[PortRange] `yaml:"port" default:"(the service's)" doc:"A port, a range, or any."`
	Proto  Val[ProtoWord] `yaml:"proto" default:"(the service's)" doc:"Transport protocol."`
}

// BackendSpec is one backend as typed.
type BackendSpec struct {
	Pos      Pos
	Node     Val[NodeName]    `yaml:"node" required:"true" short:"true" doc:"Name of the server."`
	Port     Val[Port]        `yaml:"port" default:"(the service's; where that has several, the one that the client asked for)" doc:"Port of the backend."`
	Weight   Val[Weight]      `yaml:"weight" default:"1" doc:"Share of the work; 0 takes nothing new."`
	Upper    Val[Threshold]   `yaml:"upper" default:"0" doc:"l4 only: connections at which the backend takes nothing new; 0: never."`
	Lower    Val[Threshold]   `yaml:"lower" default:"(three quarters of upper)" doc:"l4 only: connections below which it does again."`
	MaxConn  Val[InFlight]    `yaml:"max_conn" default:"0" doc:"l7 only: requests in flight at which the backend takes nothing more, so that they wait (queue) or go elsewhere; 0: no limit."`
	Backup   Val[Bool]        `yaml:"backup" default:"false" doc:"l7 only: chosen only if no backend that is not a backup can be."`
	Network  Val[NetworkName] `yaml:"network" default:"(the first that it shares with the balancer)" doc:"Network of the server by which it is reached."`
	ServerID Val[ServerID]    `yaml:"server_id" default:"(the backend's ID in the status, mod 65536)" doc:"With quic: the number that the backend writes into the connection IDs that it chooses."`
}

// TunnelSpec is an encapsulation as typed.
type TunnelSpec struct {
	Pos  Pos
	Kind Val[TunnelWord] `yaml:"kind" default:"ipip" short:"true" doc:"ipip (an IP header: 20 bytes, 40 of IPv6) or gue (UDP and an IP header: 28 or 48 bytes)."`
	Port Val[Port]       `yaml:"port" default:"(6080)" doc:"gue only: UDP port of the servers."`
	IPv6 Val[Bool]       `yaml:"ipv6" default:"(as the VIP)" doc:"Reach backends by their IPv6 addresses, whatever the VIP's family."`
}

// FailoverSpec is how a standby balancer takes over, as typed.
type FailoverSpec struct {
	Pos      Pos
	Takeover Val[TakeoverWord] `yaml:"takeover" default:"manual" doc:"manual (by lbctl failover) or auto (also once three adverts of the active balancer are missing)."`
	Advert   Val[Duration]     `yaml:"advert" default:"1s" doc:"Between two adverts of the active balancer."`
	Sync     Val[SyncWord]     `yaml:"sync" default:"established" doc:"From when on the standby is told of a l4 flow: established (more than a SYN was seen), opening (its first packet), off (never)."`
	Batch    Val[Duration]     `yaml:"batch" default:"100ms" doc:"Longest that a flow waits for others to be sent with it."`
	Refresh  Val[Duration]     `yaml:"refresh" default:"10s" doc:"Between two tellings of a flow that goes on as it is."`
}

// HTTPSpec is how l7 treats connections, as typed.
type HTTPSpec struct {
	Pos                Pos
	ClientHeadTimeout  Val[Duration]  `yaml:"client_head_timeout" default:"10s" doc:"Until a request head is whole."`
	ClientIdleTimeout  Val[Duration]  `yaml:"client_idle_timeout" default:"60s" doc:"Between two requests of a connection."`
	ConnectTimeout     Val[Duration]  `yaml:"connect_timeout" default:"1s" doc:"Until a connection to a backend is made."`
	BackendHeadTimeout Val[Duration]  `yaml:"backend_head_timeout" default:"30s" doc:"Until a response head is whole."`
	Retries            Val[Retries]   `yaml:"retries" default:"2" doc:"Further backends tried when a connection cannot be made, or ends before the answer to a request that may be repeated."`
	IdleConns          Val[IdleConns] `yaml:"idle_conns" default:"1024" doc:"Connections kept open to each backend; with 0, each request makes one. The default is more than a lab's load has in use at a time, so that a keep-alive load dials once."`
	IdleConnTimeout    Val[Duration]  `yaml:"idle_conn_timeout" default:"30s" doc:"How long each of these is kept without a request. It should be less than what the backends allow, or requests meet connections that just end."`
	IdleConnMaxAge     Val[Duration]  `yaml:"idle_conn_max_age" default:"1h" doc:"Since it was made, how long a connection is kept for further requests. A request that is under way is finished."`

	ClientBodyTimeout  Val[Duration]       `yaml:"client_body_timeout" default:"60s" doc:"Until more of a request's body has come, or more of an answer was taken."`
	BackendIdleTimeout Val[Duration]       `yaml:"backend_idle_timeout" default:"60s" doc:"Until more of an answer's body has come."`
	TunnelTimeout      Val[Duration]       `yaml:"tunnel_timeout" default:"1h" doc:"Until either side of an upgraded connection has said something."`
	RequestTimeout     Val[Pause]          `yaml:"request_timeout" default:"0s" doc:"From a request's head to the end of its answer; 0s: no limit."`
	MaxBody            Val[Volume]         `yaml:"max_body" default:"0" doc:"Bytes of a request's body; beyond: 413. 0: no limit, for bodies are passed on as they come."`
	BufferRequest      Val[Size]           `yaml:"buffer_request" default:"0" doc:"Requests of up to so many bytes are received whole before a backend is chosen, so that slow clients hold none; larger ones are passed on as they come."`
	ResponseBuffer     Val[Size]           `yaml:"response_buffer" default:"64KiB" doc:"Bytes of an answer that may wait for a slow client before the backend must."`
	Limits             LimitsSpec          `yaml:"limits" default:"(those below)" doc:"Bounds of heads, of requests and of answers."`
	Queue              QueueSpec           `yaml:"queue" default:"(those below)" doc:"Where requests wait while every backend that could be chosen is at its max_conn."`
	Headers            ForwardingSpec      `yaml:"headers" default:"(those below)" doc:"What backends are told of the client and of the request's way."`
	Sticky             StickySpec          `yaml:"sticky" default:"(off)" doc:"A cookie by which a client's requests go to one backend."`
	Hash               HashSpec            `yaml:"hash" default:"(required by policy hash)" doc:"policy: hash only: what of a request is hashed."`
	SlowStart          Val[Pause]          `yaml:"slow_start" default:"0s" doc:"A backend that comes up, or back from an ejection, grows to its weight over this time; 0s: at once."`
	Outlier            OutlierSpec         `yaml:"outlier" default:"(off)" doc:"Eject backends for a while for how they answer; {} has the defaults below."`
	RetryBudget        BudgetSpec          `yaml:"retry_budget" default:"(unlimited)" doc:"Limit retries of requests that a backend has got; {} has the defaults below."`
	Routes             List[HTTPRouteSpec] `yaml:"routes" default:"(all to the backends)" doc:"Routes, in order: the first that matches has a request; if none does it goes to the service's own backends."`
	AccessLog          AccessLogSpec       `yaml:"access_log" default:"(off)" doc:"What is written down of requests."`
}

// CheckSpec is one check as typed.
type CheckSpec struct {
	Pos          Pos
	Kind         Val[KindWord]                 `yaml:"kind" default:"http" doc:"http (a request is answered as expected) or tcp (a connection can be made)."`
	Port         Val[Port]                     `yaml:"port" default:"(the backend's)" doc:"Port to probe."`
	Method       Val[MethodWord]               `yaml:"method" default:"GET" doc:"http only: request method."`
	Path         Val[Path]                     `yaml:"path" default:"/" doc:"http only: request path."`
	Host         Val[Host]                     `yaml:"host" default:"(the address)" doc:"http only: Host header."`
	Status       Val[Status]                   `yaml:"status" default:"200-399" doc:"http only: status codes that are a success."`
	Header       Map[HeaderName, Val[Pattern]] `yaml:"header" default:"(any)" doc:"http only: regular expression that a response header must match, by its name."`
	Body         Val[Pattern]                  `yaml:"body" default:"(any)" doc:"http only: regular expression that the first 64 KiB of the body must match."`
	Interval     Val[Duration]                 `yaml:"interval" default:"1s" doc:"Between probes while health is settled."`
	FastInterval Val[Duration]                 `yaml:"fast_interval" default:"(a quarter of interval)" doc:"Between probes while a transition is in doubt; at most interval."`
	Timeout      Val[Duration]                 `yaml:"timeout" default:"(half of interval)" doc:"Of one probe; at most interval."`
	Rise         Val[Results]                  `yaml:"rise" default:"2" doc:"Successes in a row until up."`
	Fall         Val[Results]                  `yaml:"fall" default:"3" doc:"Failures in a row until down."`
}

// WorkloadSpec is one workload as typed.
type WorkloadSpec struct {
	Pos         Pos
	Connections Val[Connections] `yaml:"connections" default:"64" doc:"Connections open at a time."`
	Rate        Val[Rate]        `yaml:"rate" default:"(as fast as answers come)" doc:"Requests that arrive per second or minute, answered or not (open loop). Without it each connection sends when it has its answer (closed loop)."`
	KeepAlive   Val[Bool]        `yaml:"keepalive" default:"true" doc:"Many requests on a connection; false makes a new one for each."`
	Path        Val[Path]        `yaml:"path" default:"/" doc:"Request path. The lab's servers know /, /healthz, /bytes/N, /slow/DURATION, /status/N, /echo and /sum."`
	Duration    Val[Duration]    `yaml:"duration" default:"2s" doc:"Of the measured part of each run."`
	Warmup      Val[Pause]       `yaml:"warmup" default:"500ms" doc:"Load before it that is not measured."`
	Timeout     Val[Duration]    `yaml:"timeout" default:"5s" doc:"Of one request."`
}

// CompareSpec is a comparison as typed.
type CompareSpec struct {
	Pos       Pos
	Services  List[Val[NodeName]] `yaml:"services" required:"true" doc:"Two or more services."`
	Workloads List[Val[NodeName]] `yaml:"workloads" default:"(all)" doc:"Workloads that each service is measured under."`
	Rounds    Val[Rounds]         `yaml:"rounds" default:"4" doc:"Times that the services are run in order and back (A B B A)."`
}

// CheckRef names a check, or is one.
type CheckRef struct {
	Name   Val[NodeName]
	Inline *CheckSpec
}

func (c *CheckRef) decode(d *decoder, what string, n ast.Node) {
	if _, isBool := n.(*ast.BoolNode); isBool {
		text, _ := scalarText(n)
		d.fail(at(n), meantCheck(text, nil), "%s: want the name of a check, a check or none, not %s", what, describe(n))
		return
	}
	if isScalar(n) {
		c.Name.decode(d, what, n)
		return
	}
	c.Inline = new(CheckSpec)
	d.value(c.Inline, what, n)
}
