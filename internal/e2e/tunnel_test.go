package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
)

// Tunnels lead over routers, in any family, and servers end them for as long as
// the scenario has them.
func TestTunnelsComeAndGoWithTheScenario(t *testing.T) {
	w := newWorkshop(t)
	const text = `name: tunnels
ipv6: true
servers: 2
networks: {front: {}, back: {}}
nodes: {lb1: {role: balancer, networks: [front, back]}, r1: {role: router}}
services:
`
	ends := func() int {
		found, err := filepath.Glob(filepath.Join(w.run, "tunnels", "bpf", "_decap-*", "tcx-*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	steps := []struct {
		services string
		ends     int
	}{
		{"  a: {plane: l4, forward: tun}\n  b: {plane: l4, forward: tun, ipv6: true, tunnel: gue}\n  c: {plane: l4, forward: tun, tunnel: {kind: gue, ipv6: true}}\n", 2},
		{"  a: {plane: l4, forward: tun, tunnel: gue, backends: [s2]}\n  b: {plane: l4, ipv6: true}\n", 1},
		{"  a: {plane: l4, forward: dr}\n", 0},
		{"  a: {plane: l4, forward: tun, backends: [s1]}\n", 1},
	}
	for i, step := range steps {
		w.lbctl("up", w.scenario("tunnels.yaml", text+step.services))
		l := w.open("tunnels")
		for _, svc := range l.status(t).Services {
			for range 4 {
				l.dial(t, svc.Name).ask(t, fmt.Sprintf("step %d, %s", i, svc.Name))
			}
		}
		if n := ends(); n != step.ends {
			t.Errorf("step %d: %d servers end tunnels, want %d", i, n, step.ends)
		}
	}
}
