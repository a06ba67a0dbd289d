package scenario

// StandaloneSpec is a file of `lbctl l4 run` as it was typed: the l4 plane on
// this machine's own interfaces, outside any lab. Its struct tags describe its
// language, as those of Spec do theirs; docs/standalone.md is made from them.
type StandaloneSpec struct {
	Pos        Pos
	Name       Val[LabName]                 `yaml:"name" default:"(the file's, without its ending)" doc:"Name of the balancer, by which lbctl's verbs find it."`
	Interfaces List[Val[Interface]]         `yaml:"interfaces" required:"true" doc:"Interfaces that packets come in by and go out by, to clients and backends."`
	Hook       Val[HookWord]                `yaml:"hook" default:"auto" doc:"Where the program sits: native (XDP in the driver), generic (XDP behind it, any driver), tcx (traffic control), auto (the best that the interface has)."`
	Services   Map[NodeName, L4ServiceSpec] `yaml:"services" required:"true" doc:"Services by name."`
	Checks     Map[NodeName, CheckSpec]     `yaml:"checks" default:"(none)" doc:"Checks by name. One named default judges the services that name none."`
	API        APISpec                      `yaml:"api" default:"(the unix socket only)" doc:"Serve the API on TCP, too."`
	Locals     List[Val[Pool]]              `yaml:"local_addresses" default:"(the address towards the backend)" doc:"fullnat: a prefix of each family, with which the balancer stands for clients: of at most 32768 addresses, all on its interfaces and used for nothing else. Without, its own address does, with the ports above net.ipv4.ip_local_port_range."`
	Dir        Val[File]                    `yaml:"dir" default:"(/run/lbctl/_l4/NAME)" doc:"Folder of the socket, the state and the lock. It must last as long as the pins, so no longer than until a reboot."`
	Pins       Val[File]                    `yaml:"pins" default:"(/sys/fs/bpf/lbctl/NAME)" doc:"Folder that program, maps and links are pinned in. Where there is no BPF file system one is mounted."`
	MaxFlows   Val[Flows]                   `yaml:"max_flows" default:"1048576" doc:"Flows remembered at a time of each address family; memory for them is taken at start. Pinned flow tables keep their size until a flush."`
	Timeouts   TimeoutsSpec                 `yaml:"timeouts" default:"(those below)" doc:"After how long without a packet a flow is over."`

	src *source
}

// L4ServiceSpec is one service of a standalone balancer as typed.
type L4ServiceSpec struct {
	Pos     Pos
	VIP     Val[Socket]      `yaml:"vip" required:"true" doc:"Address and port of the service. One with an IPv6 address needs quotes."`
	Proto   Val[ProtoWord]   `yaml:"proto" default:"tcp" doc:"Transport protocol."`
	Forward Val[ForwardWord] `yaml:"forward" default:"dr" doc:"How packets reach backends: dr (their MAC address; each has the VIP on lo), nat (address and port translated; replies come back over the balancer), tun (inside another packet), fullnat (as nat, and the client's end becomes one of the balancer's, see local_addresses)."`
	Policy  Val[Scheduler]   `yaml:"policy" default:"mh" doc:"How a backend is chosen, by the name of the LVS scheduler."`
	Check   CheckRef         `yaml:"check" default:"(the check named default; else for tcp whether a connection can be made, for udp none)" doc:"What judges the backends: the name of a check, a check, or none. Probes go to the backend's own address, not to the VIP."`
	OptionsSpec
	Backends List[L4BackendSpec] `yaml:"backends" required:"true" doc:"Backends: addresses, or mappings."`
}

// L4BackendSpec is one backend of a standalone balancer as typed.
type L4BackendSpec struct {
	Pos     Pos
	Address Val[Target]    `yaml:"address" required:"true" short:"true" doc:"Address of the backend, with or without port; without, the service's."`
	Name    Val[NodeName]  `yaml:"name" default:"(the address)" doc:"Name of the backend in lbctl's verbs."`
	Weight  Val[Weight]    `yaml:"weight" default:"1" doc:"Share of the work; 0 takes nothing new."`
	Upper   Val[Threshold] `yaml:"upper" default:"0" doc:"Flows at which it takes nothing new; 0: never."`
	Lower   Val[Threshold] `yaml:"lower" default:"(three quarters of upper)" doc:"Flows below which it takes new ones again."`
}

// APISpec is where the API is served on TCP, as typed.
type APISpec struct {
	Pos       Pos
	Address   Val[Listen] `yaml:"address" required:"true" short:"true" doc:"A port on 127.0.0.1, or an address and a port."`
	TokenFile Val[File]   `yaml:"token_file" default:"(token in dir, made if absent)" doc:"File with the bearer token that each request must have."`
}

// TimeoutsSpec are the flows' timeouts as typed; they begin as those of IPVS do.
type TimeoutsSpec struct {
	Pos Pos
	TCP Val[Duration] `yaml:"tcp" default:"15m" doc:"Of a TCP connection."`
	FIN Val[Duration] `yaml:"fin" default:"2m" doc:"Of one that was seen to end."`
	UDP Val[Duration] `yaml:"udp" default:"5m" doc:"Of datagrams between two ends."`
}
