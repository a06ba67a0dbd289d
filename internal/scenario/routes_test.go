package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func routesOf(n Node) string {
	var out []string
	for _, r := range n.Routes {
		out = append(out, fmt.Sprintf("%s via %s", r.Dst, r.Via))
	}
	return strings.Join(out, ", ")
}

func TestRoutesLeadOverRoutersAndNeverOverTheBalancer(t *testing.T) {
	const services = "services:\n  web: {plane: l7}\n"
	for _, c := range []struct {
		name, text string
		want       map[string]string
	}{
		{"one network needs none", "name: x\n" + services, map[string]string{"c1": "", "lb1": "", "s1": ""}},
		{"one router is everybody's default", "name: x\nnetworks: {a: {}, b: {}}\nnodes:\n  r1: {role: router}\n" + services, map[string]string{
			"c1": "0.0.0.0/0 via 198.18.0.1", "lb1": "0.0.0.0/0 via 198.18.16.1", "s3": "0.0.0.0/0 via 198.18.16.1", "r1": "",
		}},
		{"a balancer between two networks is no way for servers", `
name: x
networks: {a: {}, b: {}}
nodes:
  lb1: {networks: [a, b]}
  r1: {role: router}
services:
  web: {plane: l4}
`, map[string]string{"s1": "0.0.0.0/0 via 198.18.16.1", "lb1": "", "c1": "0.0.0.0/0 via 198.18.0.1"}},
		{"routers in a row know the networks behind each other", `
name: x
networks: {a: {}, b: {}, c: {}}
nodes:
  r1: {role: router, networks: [a, b]}
  r2: {role: router, networks: [b, c]}
` + services, map[string]string{
			"c1": "0.0.0.0/0 via 198.18.0.1", "s1": "0.0.0.0/0 via 198.18.32.2",
			"r1": "198.18.32.0/20 via 198.18.16.2", "r2": "198.18.0.0/20 via 198.18.16.1",
		}},
		{"the short way wins, and different next hops make no default", `
name: x
networks: {a: {}, b: {}, c: {}, d: {}}
nodes:
  r1: {role: router, networks: [a, b]}
  r2: {role: router, networks: [b, c]}
  r3: {role: router, networks: [a, c]}
  r4: {role: router, networks: [c, d]}
` + services, map[string]string{
			"c1": "198.18.16.0/20 via 198.18.0.1, 198.18.32.0/20 via 198.18.0.3, 198.18.48.0/20 via 198.18.0.3",
			"s1": "0.0.0.0/0 via 198.18.48.4",
			"r1": "198.18.32.0/20 via 198.18.0.3, 198.18.48.0/20 via 198.18.0.3",
		}},
		{"each family goes its own way", `
name: x
networks: {a: {ipv6: true}, b: {}, c: {ipv6: true}}
nodes:
  r1: {role: router, networks: [a, b]}
  r2: {role: router, networks: [b, c]}
  r3: {role: router, networks: [a, c]}
services:
  web: {plane: l7, ipv6: true}
`, map[string]string{
			"c1": "198.18.16.0/20 via 198.18.0.1, 198.18.32.0/20 via 198.18.0.3, ::/0 via 2001:2::3",
			"s1": "198.18.16.0/20 via 198.18.32.2, 198.18.0.0/20 via 198.18.32.3, ::/0 via 2001:2:0:2::3",
		}},
		{"a typed route replaces the computed one", `
name: x
networks: {a: {}, b: {}}
nodes:
  r1: {role: router}
  r2: {role: router}
  s1:
    routes:
      - {to: default, via: 198.18.16.2}
      - {to: 198.18.64.0/20, via: 198.18.16.1}
` + services, map[string]string{
			"s1": "0.0.0.0/0 via 198.18.16.2, 198.18.64.0/20 via 198.18.16.1", "s2": "0.0.0.0/0 via 198.18.16.1",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := resolve(t, c.text)
			checkInvariants(t, s)
			for name, want := range c.want {
				if got := routesOf(nodeOf(t, s, name)); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestOnlyRoutersForward(t *testing.T) {
	s := resolve(t, "name: x\nipv6: true\nnetworks: {a: {}, b: {}}\nnodes:\n  r1: {role: router}\nservices:\n  web: {plane: l7}\n")
	for _, n := range s.Topology.Nodes {
		want := "0"
		if n.Role == RoleRouter {
			want = "1"
		}
		for _, key := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
			if !slices.Contains(n.Sysctls, Sysctl{key, want}) {
				t.Errorf("%s: want %s = %s", n.Name, key, want)
			}
		}
		if n.Sysctls[0].Key != "net.ipv4.ip_forward" {
			t.Errorf("%s: ip_forward must come first, since it resets others", n.Name)
		}
	}
}

func TestABackendOverARouterIsForL7Only(t *testing.T) {
	const text = "name: x\nnetworks: {a: {}, b: {}}\nnodes:\n  lb1: {networks: [a]}\n  r1: {role: router}\nservices:\n  web: {plane: PLANE}\n"
	s := resolve(t, strings.Replace(text, "PLANE", "l7", 1))
	if got := s.Config.Services[0].Backends[0].Addr.String(); got != "198.18.20.1:80" {
		t.Errorf("backend %s", got)
	}
	if _, err := understand("x", []byte(strings.Replace(text, "PLANE", "l4", 1))); err == nil {
		t.Error("l4 takes a backend that it has no MAC address of")
	}
}
