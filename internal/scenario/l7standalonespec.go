package scenario

import "net/netip"

// L7StandaloneSpec is a file of `lbctl l7 run` as it was typed: the l7 plane outside
// any lab. Its struct tags describe its language, as those of Spec do theirs;
// docs/standalone.md is made from them.
type L7StandaloneSpec struct {
	Pos      Pos
	Name     Val[LabName]                 `yaml:"name" default:"(the file's, without its ending)" doc:"Name of the balancer, by which lbctl's verbs find it."`
	L7       L7Spec                       `yaml:"l7" default:"(loop)" doc:"How the plane spends processes and threads."`
	Services Map[NodeName, L7ServiceSpec] `yaml:"services" required:"true" doc:"Services by name."`
	Checks   Map[NodeName, CheckSpec]     `yaml:"checks" default:"(none)" doc:"Checks by name. One named default judges the services that name none."`
	API      APISpec                      `yaml:"api" default:"(the unix socket only)" doc:"Serve the API on TCP, too."`
	Dir      Val[File]                    `yaml:"dir" default:"(/run/lbctl/_l7/NAME)" doc:"Folder of the sockets, the state, the logs and the lock."`

	src *source
}

// L7ServiceSpec is one service of a standalone balancer of HTTP as typed.
type L7ServiceSpec struct {
	Pos      Pos
	VIP      Val[Bind]           `yaml:"vip" required:"true" doc:"Address and port to listen at: one of this machine's, or all (0.0.0.0:80, IPv4 only; \"[::]:80\", IPv6 only). One with an IPv6 address needs quotes. none: only routes of other services lead to it."`
	Policy   Val[HTTPPolicyWord] `yaml:"policy" default:"wrr" doc:"How a backend is chosen for a request: as in scenarios (docs/scenario.md and the glossary)."`
	Check    CheckRef            `yaml:"check" default:"(the check named default; else GET / every second)" doc:"What judges the backends: the name of a check, a check, or none."`
	HTTP     HTTPSpec            `yaml:"http" default:"(those below)" doc:"How requests are treated, and where they go."`
	Backends List[L7BackendSpec] `yaml:"backends" required:"true" doc:"Backends: addresses, or mappings."`
}

// L7BackendSpec is one backend of a standalone balancer of HTTP as typed.
type L7BackendSpec struct {
	Pos     Pos
	Address Val[Target]   `yaml:"address" required:"true" short:"true" doc:"Address of the backend, with or without port; without, the service's, and 80 where it has no VIP."`
	Name    Val[NodeName] `yaml:"name" default:"(the address)" doc:"Name of the backend in lbctl's verbs."`
	Weight  Val[Weight]   `yaml:"weight" default:"1" doc:"Share of the work; 0 takes nothing new."`
	MaxConn Val[InFlight] `yaml:"max_conn" default:"0" doc:"Requests in flight at which the backend takes nothing more, so that they wait (queue) or go elsewhere; 0: no limit."`
	Backup  Val[Bool]     `yaml:"backup" default:"false" doc:"Chosen only if no backend that is not a backup can be."`
}

// HTTPPolicyWord is a policy that l7 has.
type HTTPPolicyWord = Enum[httpPolicies]

type httpPolicies struct{}

func (httpPolicies) words() (words []string) {
	for _, p := range l7Policies {
		words = append(words, string(p))
	}
	return words
}

// Bind is where a proxy listens: an address, or all, and a port.
type Bind struct{ netip.AddrPort }

func (b *Bind) parse(text string) error {
	if text == noVIP {
		*b = Bind{}
		return nil
	}
	v, err := netip.ParseAddrPort(text)
	if err != nil || v.Addr().Zone() != "" || v.Addr().Is4In6() || v.Port() == 0 {
		return errIllFormed
	}
	b.AddrPort = v
	return nil
}

func (b *Bind) want() string {
	return `an address and a port such as "192.0.2.10:80", "0.0.0.0:80" or "[::]:80", or none`
}

func (b *Bind) schema() map[string]any {
	return map[string]any{"type": "string", "pattern": `^(none|[0-9.]+:[0-9]+|\[[0-9a-fA-F:.]+\]:[0-9]+)$`}
}

func (b *Bind) suggest(text string) string {
	var l Listen
	if meant := l.suggest(text); meant != "" {
		return meant
	}
	return new(Socket).suggest(text)
}
