package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"
)

// State is what List finds of a lab.
type State string

// The states.
const (
	StateUp      State = "up"
	StateHalfWay State = "half-way" // Up has not come to its end, or is at work
	StateDamaged State = "damaged"  // something it had is gone
)

// Info is one lab as List sees it.
type Info struct {
	Name    string    `json:"name"`
	Nodes   int       `json:"nodes"`
	Created time.Time `json:"created"`
	State   State     `json:"state"`
	Detail  string    `json:"detail,omitempty"` // what is wrong
	Daemon  bool      `json:"daemon"`           // one answers
}

// List looks at every lab below the run directory.
func List(o Options) ([]Info, error) {
	o = o.withDefaults()
	entries, err := os.ReadDir(o.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list labs: %w", err)
	}
	infos := []Info{}
	for _, entry := range entries {
		if entry.IsDir() && checkName("lab", entry.Name()) == nil {
			infos = append(infos, inspect(o.folder(entry.Name()), entry.Name()))
		}
	}
	return infos, nil
}

func inspect(dir folder, name string) Info {
	info := Info{Name: name, State: StateHalfWay}
	reg, err := loadRegistry(dir)
	switch {
	case absent(err):
		info.Detail = "up or down was killed"
		return info
	case err != nil:
		info.State, info.Detail = StateDamaged, err.Error()
		return info
	}
	info.Nodes, info.Created = len(reg.last().Nodes), reg.Created
	info.Daemon = answers(dir.path("daemon.sock"))
	switch lost := reg.lost(dir); {
	case !reg.ofThisBoot():
		info.State, info.Detail = StateDamaged, "of an earlier boot"
	case !reg.Complete:
		info.Detail = "up was killed, failed, or is at work"
	case len(lost) > 0:
		info.State, info.Detail = StateDamaged, fmt.Sprintf("lost the namespaces of %v", lost)
	default:
		info.State = StateUp
	}
	return info
}

// lost names the nodes whose namespace is not at its place.
func (r *registry) lost(dir folder) []string {
	var lost []string
	for _, entry := range r.Namespaces {
		h, err := openOwn(dir, entry)
		if err != nil {
			lost = append(lost, entry.Node)
			continue
		}
		_ = h.Close()
	}
	slices.Sort(lost)
	return lost
}

func answers(socket string) bool {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// ServerProcess is one of the lab's own servers.
type ServerProcess struct {
	Node  string `json:"node"`
	Name  string `json:"name"`
	PID   int    `json:"pid"` // 0 if it does not run
	Alive bool   `json:"alive"`
}

// Servers finds the lab's servers, in the topology's order.
func (l *Lab) Servers() []ServerProcess {
	running, closeAll := l.running()
	defer closeAll()
	servers := []ServerProcess{}
	for _, node := range l.Topology().Nodes {
		for _, p := range serversOf(node) {
			server := ServerProcess{Node: node.Name, Name: p.name}
			if state := running.nodes[node.Name]; state != nil {
				if pids := state.servers[p.key()]; len(pids) > 0 {
					server.PID, server.Alive = pids[0], true
				}
			}
			servers = append(servers, server)
		}
	}
	return servers
}

// running observes the servers alone.
func (l *Lab) running() (observed, func()) {
	seen := observed{nodes: map[string]*nodeState{}}
	for _, entry := range l.registry.Namespaces {
		if h, err := openOwn(l.folder, entry); err == nil {
			seen.nodes[entry.Node] = &nodeState{space: &space{ns: h, sock: -1}, servers: map[string][]int{}}
		}
	}
	if err := observeServers(seen); err != nil {
		return observed{}, seen.close // no /proc: none is seen to run
	}
	return seen, seen.close
}
