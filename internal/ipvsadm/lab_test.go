package ipvsadm

import (
	"errors"
	"io"
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

var comparable = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}, lb.VIP{})

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

// play gives the lines to a table and returns what it said.
func play(table *Table, lines string) (code int, errs string) {
	var b strings.Builder
	code = Call{Program: "ipvsadm", Args: []string{"-R"}, In: strings.NewReader(lines), Out: io.Discard, Err: &b}.Run(&kernel{Table: table})
	return code, b.String()
}

// marked is a group of two destinations that -f calls 7.
func marked() lb.Service {
	v := service("both", "10.0.0.1:80", lb.SourceHash, "alive")
	v.L4 = lb.L4Options{Mark: 7, Lost: lb.LostResets, Also: []lb.Match{{Prefix: netip.MustParsePrefix("10.0.0.1/32"), First: 443, Last: 443, Proto: lb.TCP}}}
	return v
}

func TestAPlaneRefusesWhatHasNoWordAndWhatItSaysNoTo(t *testing.T) {
	plane := Plane{Known: []lb.Service{marked()}, Validate: func(v lb.Service) error {
		if v.Policy == lb.LeastConn {
			return errors.New("no lc today")
		}
		return nil
	}}
	const added, add = "-A -t 10.0.0.1:80 -s rr\n", "-a -t 10.0.0.1:80 -r "
	for _, c := range []struct{ lines, want string }{
		{added, ""},
		{"-A -t 10.0.0.1:80", ""},
		{"-A -t 10.0.0.1:80 -s mh -b mh-port,mh-fallback", ""},
		{"-A -u [fd00::1]:53 -s sh -b sh-port -o", ""},
		{"-A -t 10.0.0.1:0 -s rr -p 60 -M 255.255.240.0", ""},
		{"-A -f 7 -s wrr", ""},
		{added + add + "10.0.0.2 -m -x 5 -y 3\n" + add + "10.0.0.3:8080 -m -w 2147483647", ""},
		{added + add + "10.0.0.2 -i --tun-type gue --tun-port 6080", ""},
		{"-A -t 10.0.0.1:80 -s lc", "Operation not supported: no lc today"},
		{"-A -t 10.0.0.1:80 -s nosuch", "Scheduler or persistence engine not found"},
		{"-A -t 10.0.0.1:80 -s rr -b flag-1", "rr does nothing by the flag flag-1"},
		{"-A -t 10.0.0.1:80 -s rr -p --pe sip", "no persistence engines"},
		{"-A -t 10.0.0.1:80 -s rr -p 1 -M 255.0.255.0", "255.0.255.0 is none"},
		{"-A -t 10.0.0.1:80 -s rr -p 1 -M 0.0.0.0", "0.0.0.0 is none"},
		{"-A --sctp-service 10.0.0.1:80 -s rr", "TCP and UDP, no SCTP"},
		{"-A -f 8 -s rr", "no service of the configuration bears the mark 8 for IPv4"},
		{"-A -f 7 -6 -s rr", "no service of the configuration bears the mark 7 for IPv6"},
		{added + add + "10.0.0.2 -m\n" + add + "10.0.0.3", "forwarded to alike, here by Masq and Route"},
		{added + add + "10.0.0.2 -i\n" + add + "10.0.0.3 -i --tun-type gue --tun-port 7000", "here ipip and gue:7000:-c"},
		{added + add + "10.0.0.2 -i --tun-type gre", "no gre tunnels"},
		{added + add + "10.0.0.2 -i --tun-type gue --tun-port 6080 --tun-csum", "leave --tun-csum out"},
	} {
		table := newTable()
		table.Refuse = plane.Refuse
		code, errs := play(table, c.lines)
		if (code == 0) != (c.want == "") || code != 0 && code != 255 || !strings.Contains(errs, c.want) {
			t.Errorf("%q: exit %d, %q, want %q", c.lines, code, errs, c.want)
		}
	}
}

// All that ipvsadm has words for, as lb has them.
func TestWhatIsSaidIsWhatThePlaneIsTold(t *testing.T) {
	table := newTable()
	lines := `-A -t 10.0.0.1:80 -s mh -b mh-port,mh-fallback -p 90 -M 255.255.255.0
-a -t 10.0.0.1:80 -r 10.0.0.2 -m -w 2147483647 -x 9 -y 4
-A -u [fd00::1]:53 -s twos -o
-a -u [fd00::1]:53 -r [fd00::2]:53 -i --tun-type gue --tun-port 7000
-A -t [fd00::1]:0 -s lblcr -p 10 -M 64
-A -f 7 -s wlc -p
-a -f 7 -r 10.0.0.2
`
	if code, errs := play(table, lines); code != 0 {
		t.Fatal(errs)
	}
	web := service("tcp-10.0.0.1-80", "10.0.0.1:80", lb.Maglev, "", lb.Backend{Name: "10.0.0.2:80", Addr: addrPort("10.0.0.2:80"), Weight: 1<<31 - 1, Upper: 9, Lower: 4})
	web.Forward, web.L4 = lb.NAT, lb.L4Options{Ports: true, Fallback: true, Persist: lb.Persistence{Timeout: 90 * time.Second, Bits4: 24}}
	dns := service("udp-fd00::1-53", "[fd00::1]:53", lb.TwoChoices, "", backend("[fd00::2]:53", "[fd00::2]:53", 1))
	dns.VIP.Proto, dns.Forward = lb.UDP, lb.Tunnel
	dns.L4 = lb.L4Options{OnePacket: true, Tunnel: lb.Encapsulation{Kind: lb.GUE, Port: 7000}}
	cache := service("tcp-fd00::1-0", "[fd00::1]:0", lb.LocalityReplicated, "")
	cache.Backends, cache.L4 = []lb.Backend{}, lb.L4Options{Persist: lb.Persistence{Timeout: 10 * time.Second, Bits6: 64}}
	both := marked()
	both.Policy, both.L4.Persist.Timeout = lb.WeightedLeastConn, 360*time.Second
	both.Backends = []lb.Backend{backend("10.0.0.2:0", "10.0.0.2:0", 1)}
	want := []lb.Service{web, dns, cache, both}
	got := Services(table.Services, nil, []lb.Service{marked()})
	if diff := cmp.Diff(want, got, comparable); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, Services(FromServices(want), want, nil), comparable); diff != "" {
		t.Errorf("shown and put back (-want +got):\n%s", diff)
	}
	var saved, again strings.Builder
	save := Command{Op: Save, Options: options(OptNumeric)}
	shown := &Table{Services: FromServices(want)}
	if err := errors.Join(table.List(&saved, save, testNames), shown.List(&again, save, testNames)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(saved.String(), again.String()); diff != "" {
		t.Errorf("what is saved (-typed +shown):\n%s", diff)
	}
}

// Words of lb that ipvsadm lacks, and other words for the same, stay as they are.
func TestAnEditKeepsWhatItDoesNotName(t *testing.T) {
	v := service("web", "10.0.0.1:80", lb.SourceHash, "", backend("s1", "10.0.0.2:80", 1))
	v.Forward = lb.Tunnel
	v.L4 = lb.L4Options{
		Ports: true, TOA: true, Lost: lb.LostResets, SYNLimit: 9, Tunnel: lb.Encapsulation{Kind: lb.GUE},
		Persist: lb.Persistence{Timeout: 1500 * time.Millisecond, Bits4: 32, Bits6: 64, Quiesce: true},
	}
	current := []lb.Service{v}
	if diff := cmp.Diff(current, Services(FromServices(current), current, nil), comparable); diff != "" {
		t.Errorf("untouched (-want +got):\n%s", diff)
	}
	table := &Table{Services: FromServices(current)}
	if code, errs := play(table, "-E -t 10.0.0.1:80 -s mh -b mh-fallback\n-e -t 10.0.0.1:80 -r 10.0.0.2 -i -w 7"); code != 0 {
		t.Fatal(errs)
	}
	got := Services(table.Services, current, nil)[0]
	v.Policy, v.L4.Ports, v.L4.Fallback, v.L4.Persist = lb.Maglev, false, true, lb.Persistence{Quiesce: true}
	v.L4.Tunnel = lb.Encapsulation{Kind: lb.IPIP}
	v.Backends[0].Weight = 7
	if diff := cmp.Diff(v, got, comparable); diff != "" {
		t.Errorf("edited (-want +got):\n%s", diff)
	}
}

func TestCountersBeginAnewWithoutGoingBack(t *testing.T) {
	counted := func(conns, packets uint64) Sample {
		c := lb.Counters{Connections: conns, PacketsIn: packets, Active: 3}
		return Sample{Services: map[string]lb.ServiceStats{"web": {Name: "web", Counters: c, Backends: []lb.BackendStats{{ID: 7, Counters: c}, {ID: 8, Counters: c}}}}}
	}
	zero := counted(10, 100)
	zero.Services["web"].Backends[1].ID = 9
	got := counted(12, 150).Since(zero).Services["web"]
	if c := got.Counters; c.Connections != 2 || c.PacketsIn != 50 || c.Active != 3 {
		t.Errorf("the service counts %+v", c)
	}
	if a, b := got.Backends[0].Counters, got.Backends[1].Counters; a.Connections != 2 || b.Connections != 12 {
		t.Errorf("the servers count %+v and, new since, %+v", a, b)
	}
	if c := counted(3, 150).Since(zero).Services["web"].Counters; c.Connections != 3 || c.PacketsIn != 150 {
		t.Errorf("another service of the name counts %+v", c)
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
