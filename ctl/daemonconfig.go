package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lbctl/internal/flowsync"
	"lbctl/internal/lb"
	"lbctl/internal/takeover"
)

// DaemonConfig is all that a daemon must be told. StartDaemon leaves it in
// daemon.json, so that a daemon can be started again by hand.
type DaemonConfig struct {
	Lab           string   `json:"lab"`
	Dir           string   `json:"dir"`                 // the lab's run directory, absolute
	Node          string   `json:"node,omitempty"`      // the balancer's name; empty if it has none
	BalancerNetNS string   `json:"balancer_netns"`      // path; probes are sent and both planes forward there
	Interfaces    []string `json:"interfaces"`          // of the balancer, for L4
	Hook          lb.Hook  `json:"hook,omitempty"`      // of L4 on them; empty: lb.HookAuto
	HubNetNS      string   `json:"hub_netns,omitempty"` // path; where the other ends of those interfaces are
	Ports         []string `json:"ports,omitempty"`     // those other ends
	Self          string   `json:"self"`                // the lbctl binary, absolute
	MaxFlows      int      `json:"max_flows,omitempty"`
	L7            lb.Shape `json:"l7,omitzero"` // of the balancer's l7 plane

	TunnelSources  []netip.Prefix `json:"tunnel_sources,omitempty"`  // see l4.Options
	LocalAddresses []netip.Prefix `json:"local_addresses,omitempty"` // see l4.Options

	API   string `json:"api,omitempty"`   // also serve the API at this TCP address of StartDaemon's caller
	Token string `json:"token,omitempty"` // bearer token for API; required with it

	Standby *StandbyConfig `json:"standby,omitempty"` // nil: there is one balancer
}

// StandbyConfig is the balancer that can take over from the first one. Its
// interfaces are named as the first one's, and its l4 plane takes packets alike.
type StandbyConfig struct {
	Node     string          `json:"node"`
	NetNS    string          `json:"netns"` // path
	L7       lb.Shape        `json:"l7,omitzero"`
	Ports    []string        `json:"ports"`    // the other ends of its interfaces, in the hub
	Floating []takeover.Addr `json:"floating"` // what the active one holds

	Sync  *flowsync.Policy `json:"sync,omitempty"` // nil: the standby is told of no flow
	Addrs [2]netip.Addr    `json:"addrs"`          // of both balancers, by which they speak to each other

	Advert time.Duration `json:"advert,omitempty"` // between two adverts of the active one, whose silence makes the other take over; 0: only a person decides
}

// balancer is one of a lab's one or two.
type balancer struct {
	Node       string
	NetNS      string
	Interfaces []string
	Ports      []string
	L7         lb.Shape
}

// balancers returns the first one, and its standby if there is one.
func (c DaemonConfig) balancers() []balancer {
	all := []balancer{{c.Node, c.BalancerNetNS, c.Interfaces, c.Ports, c.L7}}
	if s := c.Standby; s != nil {
		all = append(all, balancer{s.Node, s.NetNS, c.Interfaces, s.Ports, s.L7})
	}
	return all
}

// Shapes are those of the balancers' l7 planes, by the balancers' names.
func (c DaemonConfig) Shapes() map[string]lb.Shape {
	shapes := map[string]lb.Shape{}
	for _, b := range c.balancers() {
		shapes[b.Node] = b.L7
	}
	return shapes
}

// maxSocketPath is sizeof(sockaddr_un.sun_path) less its final zero.
const maxSocketPath = 107

// The files of a daemon in its Dir.
func (c DaemonConfig) file() string   { return filepath.Join(c.Dir, "daemon.json") }
func (c DaemonConfig) lock() string   { return filepath.Join(c.Dir, "daemon.lock") }
func (c DaemonConfig) log() string    { return filepath.Join(c.Dir, "daemon.log") }
func (c DaemonConfig) socket() string { return filepath.Join(c.Dir, "daemon.sock") }
func (c DaemonConfig) state() string  { return filepath.Join(c.Dir, "state.json") }

// pairFile is where two balancers are written down.
func (c DaemonConfig) pairFile() string { return filepath.Join(c.Dir, "balancers.json") }

// The places of a balancer's planes. They go by its name, since which one comes
// first may change.
func (c DaemonConfig) pins(b balancer) string { return filepath.Join(c.Dir, "bpf", b.Node) }

func (c DaemonConfig) l7Socket(b balancer) string {
	return filepath.Join(c.Dir, suffixed("l7", b.Node)+".sock")
}

// l7Log is l7.log in a lab with one balancer.
func (c DaemonConfig) l7Log(b balancer) string {
	if c.Standby == nil {
		return filepath.Join(c.Dir, "l7.log")
	}
	return filepath.Join(c.Dir, suffixed("l7", b.Node)+".log")
}

// forgetOthers lets go of the l4 planes of balancers that the lab has no more, and
// of nothing else that is pinned: no name of a node begins with _.
func (c DaemonConfig) forgetOthers() error {
	pins := filepath.Join(c.Dir, "bpf")
	entries, err := os.ReadDir(pins)
	if err != nil || c.Node == "" {
		return nil // nothing was pinned, or not by name
	}
	var errs []error
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "_") && !slices.ContainsFunc(c.balancers(), func(b balancer) bool { return b.Node == e.Name() }) {
			errs = append(errs, os.RemoveAll(filepath.Join(pins, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func suffixed(name, node string) string {
	if node == "" {
		return name
	}
	return name + "-" + node
}

// LoadDaemonConfig reads what StartDaemon wrote.
func LoadDaemonConfig(path string) (DaemonConfig, error) {
	var c DaemonConfig
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read daemon config: %w", err)
	}
	if err := decodeStrict(strings.NewReader(string(data)), &c); err != nil {
		return c, fmt.Errorf("read daemon config %s: %w", path, err)
	}
	return c, c.Validate()
}

// Validate refuses what no daemon could run with. A caller asks before it builds
// the lab; RunDaemon and StartDaemon ask themselves.
func (c DaemonConfig) Validate() error {
	switch {
	case c.Lab == "":
		return errors.New("daemon config: lab has no name")
	case !filepath.IsAbs(c.Dir), !filepath.IsAbs(c.Self):
		return fmt.Errorf("daemon config: dir %q and self %q must be absolute paths", c.Dir, c.Self)
	case len(c.longestSocket()) > maxSocketPath:
		return fmt.Errorf("daemon config: socket %s is longer than the %d bytes that a unix socket's path may have", c.longestSocket(), maxSocketPath)
	case c.Standby != nil && (c.Node == "" || c.Standby.Node == "" || c.Node == c.Standby.Node || c.HubNetNS == ""):
		return errors.New("daemon config: two balancers need two names and a hub")
	case c.API != "" && c.Token == "":
		return errors.New("daemon config: an API on TCP needs a token")
	}
	return nil
}

func (c DaemonConfig) longestSocket() string {
	longest := c.socket()
	for _, b := range c.balancers() {
		if s := c.l7Socket(b); len(s) > len(longest) {
			longest = s
		}
	}
	return longest
}

func (c DaemonConfig) encode() []byte {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(err) // strings and ints only
	}
	return append(data, '\n')
}
