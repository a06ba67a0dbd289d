package scenario

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/internal/lb"
)

const short = `interfaces: [eth0]
services:
  web:
    vip: 192.0.2.10:80
    backends: [10.0.0.11, 10.0.0.12:8080]
`

func standalone(t *testing.T, text string) *Standalone {
	t.Helper()
	s, err := ParseStandalone("/etc/lbctl/web.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAStandaloneFileOfFiveLinesHasTheDefaultsOfAnExpert(t *testing.T) {
	got := standalone(t, short)
	got.spec = nil
	addr := netip.MustParseAddrPort
	want := &Standalone{
		Name: "web", Interfaces: []string{"eth0"}, Hook: "auto", MaxFlows: 1 << 20,
		Config: lb.Config{
			Services: []lb.Service{{
				Name: "web", Plane: lb.L4, VIP: lb.VIP{Addr: addr("192.0.2.10:80"), Proto: lb.TCP},
				Forward: lb.DirectRouting, Policy: lb.Maglev, L4: lb.L4Options{Ports: true, Fallback: true}, Check: "default",
				Backends: []lb.Backend{
					{Name: "10.0.0.11", Addr: addr("10.0.0.11:80"), Weight: 1},
					{Name: "10.0.0.12:8080", Addr: addr("10.0.0.12:8080"), Weight: 1},
				},
			}},
			Checks: []lb.Check{{
				Name: "default", Kind: lb.CheckTCP, Interval: time.Second, FastInterval: 250 * time.Millisecond,
				Timeout: 500 * time.Millisecond, Rise: 2, Fall: 3,
			}},
			Timeouts: lb.Timeouts{TCP: 15 * time.Minute, FIN: 2 * time.Minute, UDP: 5 * time.Minute},
		},
	}
	if diff := cmp.Diff(want, got, byValue(), cmp.AllowUnexported(Standalone{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatJudgesAStandaloneServiceThatNamesNoCheck(t *testing.T) {
	for _, c := range []struct{ proto, checks, want string }{
		{"tcp", "", "default tcp"},
		{"udp", "", " "},
		{"tcp", "checks: {default: {path: /}}", "default http"},
		{"udp", "checks: {default: {kind: tcp, port: 22}}", "default tcp"},
	} {
		text := strings.Replace(short, "    vip", "    proto: "+c.proto+"\n    vip", 1) + c.checks
		config := standalone(t, text).Config
		var kind lb.CheckKind
		if len(config.Checks) > 0 {
			kind = config.Checks[0].Kind
		}
		if got := config.Services[0].Check + " " + string(kind); got != c.want {
			t.Errorf("%s with %q is judged by %q, want %q", c.proto, c.checks, got, c.want)
		}
	}
}

func TestEveryKeyOfAStandaloneFileCountsAndIsValidByItsSchema(t *testing.T) {
	text, err := os.ReadFile("testdata/standalone/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := standalone(t, string(text))
	web, dns := s.Config.Services[0], s.Config.Services[1]
	wantWeb := lb.L4Options{
		Ports: true, Fallback: true, Lost: lb.LostResets, SYNCookies: lb.SYNCookiesAuto, SYNFlood: 2000, SYNLimit: 1000, TOA: true, Mark: 7,
		Persist: lb.Persistence{Timeout: 5 * time.Minute, Bits4: 24, Bits6: 64, Quiesce: true},
	}
	wantDNS := lb.L4Options{OnePacket: true, QUIC: true, Tunnel: lb.Encapsulation{Kind: lb.GUE, Port: 6081}}
	if diff := cmp.Diff([]lb.L4Options{wantWeb, wantDNS}, []lb.L4Options{web.L4, dns.L4}); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if b := web.Backends[0]; b.Name != "a" || b.Weight != 3 || b.Upper != 1000 || b.Lower != 700 {
		t.Errorf("backend: %+v", b)
	}
	if dns.Backends[1].Name != "[2001:db8:1::2]:5353" {
		t.Errorf("backend: %+v", dns.Backends[1])
	}
	if err := validateBy(t, StandaloneSchema(), text); err != nil {
		t.Error(err)
	}
	eachSectionOf[StandaloneSpec](func(name string, fields fields) {
		for _, f := range fields {
			if !regexp.MustCompile(`\b` + f.name + `:`).Match(text) {
				t.Errorf("the file does not use %s of %s", f.name, name)
			}
		}
	})
}

func TestBrokenStandaloneFilesFailWithTheirGoldenErrors(t *testing.T) {
	able := func(s lb.Service) error {
		if s.Forward == lb.FullNAT {
			return errors.New("the plane cannot do this")
		}
		return nil
	}
	for _, name := range []string{"broken", "senseless"} {
		file := filepath.Join("testdata/standalone", name+".yaml")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseStandalone(filepath.Base(file), data, able)
		if err == nil {
			t.Fatalf("%s is accepted", file)
		}
		golden := strings.TrimSuffix(file, ".yaml") + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, readErr := os.ReadFile(golden)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
			t.Errorf("%s (-golden +got):\n%s", name, diff)
		}
	}
}

func TestAnEmptyStandaloneFileSaysWhatItNeeds(t *testing.T) {
	_, err := ParseStandalone("web.yaml", nil, nil)
	if err == nil || !strings.Contains(err.Error(), `the file is empty: want at least "interfaces" and "services"`) {
		t.Errorf("an empty file: %v", err)
	}
	_, err = ParseStandalone("Web_1.yaml", []byte(short), nil)
	if err == nil || !strings.Contains(err.Error(), `"Web_1", the file's name, cannot be the balancer's`) {
		t.Errorf("a file whose name is none: %v", err)
	}
}

func TestWhatARunningBalancerCannotChangeIsNamedWithItsPlace(t *testing.T) {
	running := standalone(t, short)
	same := standalone(t, short+"hook: auto\ntimeouts: {tcp: 900s}\n")
	if err := running.Restart(same); err != nil {
		t.Errorf("defaults that were written out: %v", err)
	}
	next := standalone(t, "hook: generic\n"+strings.Replace(short, "eth0", "eth1", 1)+"api: 9090\nmax_flows: 2048\n")
	err := running.Restart(next)
	var all Errors
	if !errors.As(err, &all) || len(all) != 4 {
		t.Fatalf("four changes: %v", err)
	}
	for i, line := range []int{1, 2, 7, 8} {
		if all[i].Line != line {
			t.Errorf("error %d is on line %d, want %d: %v", i, all[i].Line, line, all[i])
		}
	}
}

func TestAnInterfaceThatIsNotThereIsRefusedAtItsPlace(t *testing.T) {
	s := standalone(t, strings.Replace(short, "[eth0]", "[ens5, eht0]", 1))
	err := s.Refuse("eht0", []string{"lo", "eth0", "ens5"}, errors.New("there is no eht0"))
	want := `/etc/lbctl/web.yaml:1:20: interfaces: there is no eht0; did you mean "eth0"?`
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error: %v, want %s", err, want)
	}
}

// Whatever the bytes, ParseStandalone returns; what it refuses, it refuses at a
// position; what it accepts has all that a balancer needs.
func FuzzParseStandalone(f *testing.F) {
	for _, pattern := range []string{"../../balancers/*.yaml", "testdata/standalone/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseStandalone("fuzz.yaml", data, nil)
		var all Errors
		if err != nil && (!errors.As(err, &all) || all[0].Line < 1 || all[0].Column < 1) {
			t.Fatalf("an error without a place: %v", err)
		}
		if err != nil {
			return
		}
		if s.Name == "" || len(s.Interfaces) == 0 || len(s.Config.Services) == 0 || s.Restart(s) != nil {
			t.Errorf("accepted: %+v", s)
		}
		for _, svc := range s.Config.Services {
			if !svc.VIP.Addr.IsValid() || svc.VIP.Addr.Port() == 0 || len(svc.Backends) == 0 || svc.Policy == "" || svc.Forward == "" {
				t.Errorf("accepted: %+v", svc)
			}
		}
	})
}
