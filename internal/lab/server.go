package lab

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"lbctl/internal/netns"
	"lbctl/internal/scenario"
)

// serverVerb is the hidden verb of lbctl that the nodes run.
const serverVerb = "server"

// serverProcess is one process that serves a node: its servers of one name
// and body.
type serverProcess struct {
	name   string
	body   int64
	listen []netip.AddrPort
}

func serversOf(n scenario.Node) []serverProcess {
	var all []serverProcess
	for _, server := range n.Servers {
		i := slices.IndexFunc(all, func(p serverProcess) bool { return p.name == server.Name && p.body == server.Body })
		if i < 0 {
			i = len(all)
			all = append(all, serverProcess{name: server.Name, body: server.Body})
		}
		all[i].listen = append(all[i].listen, server.Addr)
	}
	return all
}

// args is the command line without the binary. A running server is recognised
// by it, so it has every setting and nothing that changes by itself.
func (p serverProcess) args() []string {
	args := []string{serverVerb, "--name", p.name}
	for _, addr := range p.listen {
		args = append(args, "--listen", addr.String())
	}
	return append(args, "--body", strconv.FormatInt(p.body, 10))
}

func (p serverProcess) key() string { return strings.Join(p.args(), " ") }

func (p serverProcess) String() string {
	listen := make([]string, len(p.listen))
	for i, addr := range p.listen {
		listen[i] = addr.String()
	}
	return fmt.Sprintf("%s on %s, body %d bytes", p.name, strings.Join(listen, " "), p.body)
}

// observeServers finds the lab's own servers among the processes in its
// namespaces, by their command line. No list of process ids is kept, so none
// can be wrong.
func observeServers(seen observed) error {
	byInode, inodes := map[uint64]*nodeState{}, map[uint64]bool{}
	for _, state := range seen.nodes {
		byInode[state.space.ns.Inode()], inodes[state.space.ns.Inode()] = state, true
	}
	pids, err := netns.Processes(inodes)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		args := commandLine(pid)
		if len(args) < 3 || args[1] != serverVerb || args[2] != "--name" {
			continue
		}
		info, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil {
			continue
		}
		if state := byInode[info.Sys().(*syscall.Stat_t).Ino]; state != nil {
			key := strings.Join(args[1:], " ")
			state.servers[key] = append(state.servers[key], pid)
		}
	}
	return nil
}
