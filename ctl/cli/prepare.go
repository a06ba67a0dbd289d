package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"lbctl/ctl"
	"lbctl/internal/flowsync"
	"lbctl/internal/lab"
	"lbctl/internal/lb"
	"lbctl/internal/scenario"
	"lbctl/internal/takeover"
	"lbctl/l4"
)

// prepare finds out all that the daemon will be told, and with it what can be
// wrong about it, before there is a lab that would be left half up.
func (b *builder) prepare() error {
	token, err := b.token()
	if err != nil {
		return err
	}
	told := chooseHook(b.scenario)
	dir := filepath.Join(b.options.Dir, b.scenario.Name)
	b.config = ctl.DaemonConfig{
		Lab: b.scenario.Name, Dir: dir, Self: b.options.Self, API: b.api, Token: token, Hook: told,
		HubNetNS: filepath.Join(dir, "netns", "_hub"), TunnelSources: b.scenario.Topology.TunnelSources,
		LocalAddresses: b.scenario.Topology.LocalAddresses,
	}
	for _, n := range b.scenario.Topology.Nodes {
		if n.Role != scenario.RoleBalancer {
			continue
		}
		if b.config.Node != "" {
			b.config.Standby = b.standby(n)
			continue
		}
		b.config.Node = n.Name
		b.config.L7 = n.L7
		b.config.BalancerNetNS = filepath.Join(dir, "netns", n.Name)
		for _, link := range n.Links {
			b.config.Interfaces = append(b.config.Interfaces, link.Name)
			b.config.Ports = append(b.config.Ports, lab.PortName(n.Name, link.Name))
		}
	}
	return b.config.Validate()
}

// chooseHook settles auto before there is a lab, because the hook decides how its
// links are made, and returns what was told: the plane chooses by itself, alike,
// and says why. Where nothing can be tried, there will be no lab: the doctor, who
// is asked next, has the remedy.
func chooseHook(sc *scenario.Scenario) (told lb.Hook) {
	balancers := sc.Topology.Balancers()
	if len(balancers) == 0 {
		return lb.HookAuto
	}
	told = balancers[0].Hook
	if told != lb.HookAuto {
		return told
	}
	if hook, err := l4.AutoOnVeth(); err == nil {
		for _, b := range balancers {
			b.Hook = hook
		}
	}
	return told
}

func (b *builder) standby(n scenario.Node) *ctl.StandbyConfig {
	s := &ctl.StandbyConfig{Node: n.Name, L7: n.L7, NetNS: filepath.Join(b.config.Dir, "netns", n.Name)}
	for _, link := range n.Links {
		s.Ports = append(s.Ports, lab.PortName(n.Name, link.Name))
	}
	if f := b.scenario.Failover; f.Sync != scenario.SyncOff {
		s.Sync = &flowsync.Policy{Opening: f.Sync == scenario.SyncOpening, Batch: f.Batch, Refresh: f.Refresh}
	}
	if f := b.scenario.Failover; f.Takeover == scenario.TakeoverAuto {
		s.Advert = f.Advert
	}
	for _, node := range b.scenario.Topology.Nodes {
		switch node.Name {
		case b.config.Node:
			s.Addrs[0] = node.Links[0].Addrs[0].Addr()
		case s.Node:
			s.Addrs[1] = node.Links[0].Addrs[0].Addr()
		}
	}
	for _, f := range b.scenario.Topology.Floating {
		s.Floating = append(s.Floating, takeover.Addr(f))
	}
	return s
}

func (b *builder) token() (string, error) {
	if (b.api == "") != (b.tokenFile == "") {
		return "", usagef("up: --api and --token-file go together: an API beyond the unix socket needs a token")
	}
	if b.api == "" {
		return "", nil
	}
	if _, err := net.ResolveTCPAddr("tcp", b.api); err != nil {
		return "", usagef("up: api %q: %w", b.api, err)
	}
	data, err := os.ReadFile(b.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", usagef("up: token file %s is empty", b.tokenFile)
	}
	return token, nil
}
