package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"lbctl/internal/lb"
)

// DaemonConfig is all that a daemon must be told. StartDaemon leaves it in
// daemon.json, so that a daemon can be started again by hand.
type DaemonConfig struct {
	Lab           string   `json:"lab"`
	Dir           string   `json:"dir"`                 // the lab's run directory, absolute
	BalancerNetNS string   `json:"balancer_netns"`      // path; probes are sent and both planes forward there
	Interfaces    []string `json:"interfaces"`          // of the balancer, for L4
	Hook          lb.Hook  `json:"hook,omitempty"`      // of L4 on them; empty: lb.HookAuto
	HubNetNS      string   `json:"hub_netns,omitempty"` // path; where the other ends of those interfaces are
	Ports         []string `json:"ports,omitempty"`     // those other ends
	Self          string   `json:"self"`                // the lbctl binary, absolute
	MaxFlows      int      `json:"max_flows,omitempty"`

	TunnelSources []netip.Prefix `json:"tunnel_sources,omitempty"` // see l4.Options

	API   string `json:"api,omitempty"`   // also serve the API at this TCP address of StartDaemon's caller
	Token string `json:"token,omitempty"` // bearer token for API; required with it
}

// maxSocketPath is sizeof(sockaddr_un.sun_path) less its final zero.
const maxSocketPath = 107

// The files of a daemon in its Dir.
func (c DaemonConfig) file() string   { return filepath.Join(c.Dir, "daemon.json") }
func (c DaemonConfig) lock() string   { return filepath.Join(c.Dir, "daemon.lock") }
func (c DaemonConfig) log() string    { return filepath.Join(c.Dir, "daemon.log") }
func (c DaemonConfig) socket() string { return filepath.Join(c.Dir, "daemon.sock") }
func (c DaemonConfig) state() string  { return filepath.Join(c.Dir, "state.json") }

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
	case len(c.socket()) > maxSocketPath:
		return fmt.Errorf("daemon config: socket %s is longer than the %d bytes that a unix socket's path may have", c.socket(), maxSocketPath)
	case c.API != "" && c.Token == "":
		return errors.New("daemon config: an API on TCP needs a token")
	}
	return nil
}

func (c DaemonConfig) encode() []byte {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		panic(err) // strings and ints only
	}
	return append(data, '\n')
}
