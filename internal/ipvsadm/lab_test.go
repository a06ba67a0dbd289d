package ipvsadm

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/internal/lb"
)

func service(name, vip string, policy lb.Policy, check string, backends ...lb.Backend) lb.Service {
	return lb.Service{Name: name, Plane: lb.L4, VIP: lb.VIP{Addr: addrPort(vip), Proto: lb.TCP}, Forward: lb.DirectRouting, Policy: policy, Check: check, Backends: backends}
}

func backend(name, addr string, weight uint32) lb.Backend {
	return lb.Backend{Name: name, Addr: addrPort(addr), Weight: weight}
}

var comparable = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, lb.VIP{}, netip.Prefix{})

func TestAConfigurationComesBackFromItsTable(t *testing.T) {
	l7 := lb.Service{Name: "app", Plane: lb.L7, VIP: lb.VIP{Addr: addrPort("10.0.0.9:80"), Proto: lb.TCP}}
	want := []lb.Service{
		l7,
		service("web", "10.0.0.1:80", lb.WeightedRoundRobin, "alive", backend("s2", "10.0.0.12:80", 2), backend("s1", "10.0.0.11:80", 0)),
		service("hash", "10.0.0.1:81", lb.Maglev, "", backend("x", "10.0.0.12:81", 2)),
		service("empty", "10.0.0.1:82", lb.SourceHash, ""),
		service("any", "10.0.0.1:0", lb.RoundRobin, "", backend("s1", "10.0.0.11:0", 1)),
	}
	want[2].L4 = lb.L4Options{Ports: true}
	want[3].L4 = lb.L4Options{Ports: true, Fallback: true}
	want[3].Backends = []lb.Backend{}
	want[4].L4.Also = []lb.Match{{Prefix: netip.MustParsePrefix("10.0.1.0/24"), Proto: lb.TCP}}
	cache := lb.Service{Name: "cache", Plane: lb.L4, L4: want[4].L4, Backends: []lb.Backend{backend("s1", "10.0.0.11:80", 1)}}
	want = slices.Insert(want, 1, cache) // no table shows it, and none loses it
	got := Services(FromServices(want), want, nil)
	if diff := cmp.Diff(want, got, comparable); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsMadeAnewTakesItsNamesFromWhatIsKnown(t *testing.T) {
	known := []lb.Service{service("web", "10.0.0.1:80", lb.Maglev, "alive", backend("s1", "10.0.0.11:80", 1), backend("s2", "10.0.0.12:80", 1))}
	table := newTable()
	for _, line := range []string{
		"-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.0.0.12 -w 4",
		"-A -t 10.0.0.1:8080 -s rr", "-a -t 10.0.0.1:8080 -r 10.0.0.11 -m", "-a -t 10.0.0.1:8080 -r 10.0.0.11:90 -m", "-a -t 10.0.0.1:8080 -r 10.0.0.99 -m",
	} {
		c, err := Parse("ipvsadm", strings.Fields(line), testNames)
		if err != nil {
			t.Fatal(err)
		}
		if err := table.Do(c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	nat := service("tcp-10.0.0.1-8080", "10.0.0.1:8080", lb.RoundRobin, "", backend("s1", "10.0.0.11:8080", 1), backend("s1:90", "10.0.0.11:90", 1), backend("10.0.0.99:8080", "10.0.0.99:8080", 1))
	nat.Forward = lb.NAT
	want := []lb.Service{service("web", "10.0.0.1:80", lb.RoundRobin, "alive", backend("s2", "10.0.0.12:80", 4)), nat}
	if diff := cmp.Diff(want, Services(table.Services, nil, known), comparable); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	taken := []lb.Service{{Name: "tcp-10.0.0.1-8080", Plane: lb.L7}}
	if got := Services(table.Services, taken, known)[2].Name; got != "tcp-10.0.0.1-8080-2" {
		t.Errorf("the second of a name is called %q", got)
	}
}

func TestFullNATStaysWhatItIs(t *testing.T) {
	v := service("web", "10.0.0.1:80", lb.RoundRobin, "", backend("s1", "10.0.0.11:80", 1))
	v.Forward = lb.FullNAT
	current := []lb.Service{v}
	if got := Services(FromServices(current), current, nil)[0].Forward; got != lb.FullNAT {
		t.Errorf("fullnat became %s", got)
	}
}

func TestAPlaneRefusesWhatItCannotDo(t *testing.T) {
	full := Plane{
		Policies: []lb.Policy{"rr", "mh", "sh"}, Forwards: []lb.Forward{lb.DirectRouting, lb.NAT, lb.Tunnel},
		Protocols: []lb.Protocol{lb.TCP, lb.UDP},
	}
	for _, c := range []struct{ lines, want string }{
		{"-A -t 10.0.0.1:80 -s rr", ""},
		{"-A -t 10.0.0.1:80 -s mh -b mh-port", ""},
		{"-A -t 10.0.0.1:80 -s mh", ""},
		{"-A -t 10.0.0.1:80 -s mh -b mh-port,mh-fallback", ""},
		{"-A -t 10.0.0.1:80 -s sh -b sh-port", ""},
		{"-A -t 10.0.0.1:80 -s rr -b flag-1", "no scheduler flags flag-1 for rr"},
		{"-A -t 10.0.0.1:80 -s lc", "has no lc so far; name one of rr, mh, sh"},
		{"-A -t 10.0.0.1:80 -s nosuch", "Scheduler or persistence engine not found"},
		{"-A -t 10.0.0.1:80 -s rr -p", "no persistence"},
		{"-A -t 10.0.0.1:80 -s rr --pe sip", "no persistence engines"},
		{"-A -u 10.0.0.1:80 -s rr -o", "no one-packet scheduling"},
		{"-A --sctp-service 10.0.0.1:80 -s rr", "sets up no SCTP"},
		{"-A -t [fd00::1]:80 -s rr", "IPv4 only"},
		{"-A -f 1 -s rr", "before a firewall"},
		{"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2 -m\n-a -t 10.0.0.1:80 -r 10.0.0.3", "forwarded to alike, here by Route and Masq"},
		{"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gre", "no gre tunnels"},
		{"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r fd00::2 -i", "one address family"},
		{"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2 -x 5", "no connection thresholds"},
		{"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2:0 -m", ""},
	} {
		table := newTable()
		table.Refuse = full.Refuse
		var errs strings.Builder
		code := Call{Program: "ipvsadm", Args: []string{"-R"}, In: strings.NewReader(c.lines), Err: &errs}.Run(&kernel{Table: table})
		if (code == 0) != (c.want == "") || code != 0 && code != 255 || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%q: exit %d, %q, want %q", c.lines, code, errs.String(), c.want)
		}
	}
	if err := (Plane{}).Refuse(Service{Key: v4("10.0.0.1", 80)}); err == nil {
		t.Error("a plane that can do nothing takes a service")
	}
}

func TestCountersAndRatesFindTheirServers(t *testing.T) {
	a, b := backend("s1", "10.0.0.11:80", 1), backend("s2", "10.0.0.12:80", 1)
	a.ID, b.ID = 7, 8
	services := []lb.Service{service("web", "10.0.0.1:80", lb.RoundRobin, "", a, b)}
	sample := func(at time.Time, web, one, two lb.Counters) Sample {
		return Sample{at, map[string]lb.ServiceStats{"web": {Name: "web", Counters: web, Backends: []lb.BackendStats{{ID: 7, Counters: one}, {ID: 8, Counters: two}}}}}
	}
	began := time.Unix(1000, 0)
	before := sample(began, lb.Counters{Connections: 10}, lb.Counters{PacketsIn: 100}, lb.Counters{PacketsIn: 50})
	now := sample(began.Add(2*time.Second), lb.Counters{Connections: 16}, lb.Counters{PacketsIn: 300, Active: 4}, lb.Counters{PacketsIn: 20, BytesIn: 9})
	table := FromServices(services)
	Count(table, services, before, now)
	s := table[0]
	if s.Stats.Conns != 16 || s.Stats.CPS != 3 {
		t.Errorf("service counts %+v", s.Stats)
	}
	two, one := s.Dests[0], s.Dests[1] // the newest first
	if one.Addr != a.Addr || one.Stats.InPkts != 300 || one.Stats.InPPS != 100 || one.Active != 4 {
		t.Errorf("s1 counts %+v", one)
	}
	if two.Addr != b.Addr || two.Stats.InPkts != 20 || two.Stats.InPPS != 0 || two.Stats.InBytes != 9 {
		t.Errorf("s2, which began anew, counts %+v", two)
	}
}

func TestLargeNumbers(t *testing.T) {
	for _, c := range []struct {
		n           uint64
		text, exact string
	}{
		{99_999_999, " 99999999", " 99999999"},
		{100_000_000, "  100000K", " 100000000"},
		{999_999_999, "  999999K", " 999999999"},
		{1_000_000_000, "    1000M", " 1000000000"},
		{100_000_000_000, "     100G", " 100000000000"},
		{100_000_000_000_000, "     100T", " 100000000000000"},
		{7, "        7", "        7"},
	} {
		for _, p := range []struct {
			printer
			want string
		}{{printer{}, c.text}, {printer{options: options(OptExact)}, c.exact}} {
			if p.numbers(c.n); p.String() != p.want {
				t.Errorf("%d is %q, want %q", c.n, p.String(), p.want)
			}
		}
	}
}

func TestPortsAreReadLikeTheCLibraryDoes(t *testing.T) {
	p, err := ReadPorts(strings.NewReader("# names\nhttp 80/tcp www\nbad line\nother 80/tcp\nhttp 81/tcp\nx 70000/tcp\ndomain\t53/udp # dns\n"))
	if err != nil {
		t.Fatal(err)
	}
	n := Names{Ports: p}
	for name, want := range map[string]uint16{"http": 80, "www": 80, "other": 80} {
		if got, ok := n.port(name, TCP); !ok || got != want {
			t.Errorf("%s is port %d, want %d", name, got, want)
		}
	}
	if _, ok := n.port("domain", TCP); ok {
		t.Error("a UDP name is known for TCP")
	}
	if got := n.text(addrPort("10.0.0.1:80"), TCP, false); got != "10.0.0.1:http" {
		t.Errorf("port 80 is written %q", got)
	}
}

// The words are those of print_daemon() in ipvsadm.c.
func TestDaemonsAreListedAsIpvsadmDoes(t *testing.T) {
	table := &Table{Daemons: []Daemon{
		{Interface: "eth0", SyncID: 3, MaxLen: 1472, Group: "224.0.0.81", Port: 8848, TTL: 1},
		{Backup: true, Interface: "eth1"},
	}}
	var out strings.Builder
	if err := table.List(&out, Command{Op: List, Options: options(OptDaemon)}, Names{}); err != nil {
		t.Fatal(err)
	}
	want := "master sync daemon (mcast=eth0, syncid=3, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)\n" +
		"backup sync daemon (mcast=eth1, syncid=0)\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
