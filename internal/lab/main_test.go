package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lbctl/internal/scenario"
)

// The test binary plays lbctl's parts: `server` with the verb's flags, and
// `up DIR`, which reads a topology, and `down DIR LAB`; those can be killed.
func TestMain(m *testing.M) {
	switch {
	case os.Getuid() != 0:
		fmt.Println("SKIP: labs need root")
		os.Exit(0)
	case len(os.Args) > 1 && os.Args[1] == serverVerb:
		serve(os.Args[2:])
	case len(os.Args) == 3 && os.Args[1] == "up":
		var t scenario.Topology
		if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
			panic(err)
		}
		if _, _, err := Up(context.Background(), Options{Dir: os.Args[2]}, t); err != nil {
			panic(err)
		}
	case len(os.Args) == 4 && os.Args[1] == "down":
		if err := Down(context.Background(), Options{Dir: os.Args[2]}, os.Args[3]); err != nil {
			panic(err)
		}
	default:
		os.Exit(m.Run())
	}
}

func serve(args []string) {
	flags := flag.NewFlagSet(serverVerb, flag.ExitOnError)
	name := flags.String("name", "", "")
	body := flags.Int("body", 0, "")
	var listen []string
	flags.Func("listen", "", func(addr string) error { listen = append(listen, addr); return nil })
	_ = flags.Parse(args)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Server", *name)
		_, _ = w.Write(bytes.Repeat([]byte("x"), *body))
	})
	failed := make(chan error)
	for _, addr := range listen {
		go func() { failed <- http.ListenAndServe(addr, handler) }()
	}
	fmt.Fprintln(os.Stderr, <-failed)
	os.Exit(1)
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

// direct is a client, a balancer and n servers on one network. The VIP
// 198.18.3.1 is on the balancer's link and on the servers' lo.
func direct(lab string, n int) scenario.Topology {
	t := scenario.Topology{Lab: lab, Networks: []scenario.Network{{Name: "lan", Subnet: prefix("198.18.0.0/20"), MTU: 1500}}}
	node := func(name string, role scenario.Role, addr netip.Addr) *scenario.Node {
		a := addr.As4()
		t.Nodes = append(t.Nodes, scenario.Node{Name: name, Role: role, Links: []scenario.Link{{
			Network: "lan", Name: "eth0", MAC: net.HardwareAddr{2, 0, a[0], a[1], a[2], a[3]}.String(),
			Addrs: []netip.Prefix{netip.PrefixFrom(addr, 20)},
		}}})
		return &t.Nodes[len(t.Nodes)-1]
	}
	node("c1", scenario.RoleClient, netip.AddrFrom4([4]byte{198, 18, 1, 1}))
	lb := node("lb1", scenario.RoleBalancer, netip.AddrFrom4([4]byte{198, 18, 2, 1}))
	lb.Links[0].Addrs = append(lb.Links[0].Addrs, prefix("198.18.3.1/32"))
	addr := netip.AddrFrom4([4]byte{198, 18, 4, 0})
	for i := range n {
		addr = addr.Next()
		name := fmt.Sprintf("s%d", i+1)
		s := node(name, scenario.RoleServer, addr)
		s.Loopback = []netip.Prefix{prefix("198.18.3.1/32")}
		s.Sysctls = []scenario.Sysctl{{Key: "net.ipv4.conf.all.arp_ignore", Value: "1"}, {Key: "net.ipv4.conf.all.arp_announce", Value: "2"}}
		s.Servers = []scenario.Server{{Name: name, Addr: netip.MustParseAddrPort("0.0.0.0:80"), Body: 100}}
	}
	return t
}

// edit is a copy of the topology with one node changed.
func edit(t scenario.Topology, node string, change func(*scenario.Node)) scenario.Topology {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	var copied scenario.Topology
	if err := json.Unmarshal(data, &copied); err != nil {
		panic(err)
	}
	for i := range copied.Nodes {
		if copied.Nodes[i].Name == node {
			change(&copied.Nodes[i])
		}
	}
	return copied
}

// options are those of a run directory that ends with the test, whatever
// state its labs are in.
func options(t *testing.T) Options {
	t.Helper()
	o := Options{Dir: filepath.Join(t.TempDir(), "run"), Version: "test"}
	t.Cleanup(func() {
		infos, err := List(o)
		for _, info := range infos {
			err = Down(context.Background(), o, info.Name)
		}
		if err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return o
}

func mustUp(t *testing.T, o Options, topology scenario.Topology) (*Lab, []Change) {
	t.Helper()
	lab, changes, err := Up(t.Context(), o, topology)
	if err != nil {
		t.Fatal(err)
	}
	return lab, changes
}

// wantChanges compares without regard to order.
func wantChanges(t *testing.T, got []Change, want ...string) {
	t.Helper()
	var texts []string
	for _, c := range got {
		texts = append(texts, c.String())
	}
	slices.Sort(texts)
	slices.Sort(want)
	if !slices.Equal(texts, want) {
		t.Fatalf("changes:\n\t%s\nwant:\n\t%s", strings.Join(texts, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// from runs f with an HTTP client that lives in a node and makes a new
// connection for each request.
func from(t *testing.T, lab *Lab, node string) *http.Client {
	t.Helper()
	h, err := lab.Node(node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return &http.Client{Transport: &http.Transport{DialContext: h.DialContext, DisableKeepAlives: true}}
}

// get returns X-Server.
func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.Header.Get("X-Server")
}

// machine is what a lab could leave behind, as far as this test's run
// directory is concerned: mounts and processes, and links of the host.
func machine(t *testing.T, o Options) []string {
	t.Helper()
	mounts, err := mountsBelow(filepath.Dir(o.Dir))
	if err != nil {
		t.Fatal(err)
	}
	found := mounts
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		found = append(found, "link "+link.Name)
	}
	exes, _ := filepath.Glob("/proc/[0-9]*/exe")
	self, _ := os.Executable()
	for _, exe := range exes {
		if target, err := os.Readlink(exe); err == nil && target == self && filepath.Dir(exe) != fmt.Sprintf("/proc/%d", os.Getpid()) {
			line := strings.Join(commandLine(pidOf(exe)), " ")
			if line != "" { // a zombie has none
				found = append(found, line)
			}
		}
	}
	if _, err := os.Stat(o.Dir); err == nil {
		found = append(found, "folder "+o.Dir)
	}
	slices.Sort(found)
	return found
}

func pidOf(exe string) int {
	var pid int
	_, _ = fmt.Sscanf(exe, "/proc/%d/exe", &pid)
	return pid
}
