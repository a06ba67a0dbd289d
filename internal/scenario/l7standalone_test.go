package scenario

import (
	"errors"
	"maps"
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

const l7DocBegin = "<!-- l7 reference:begin (go test ./internal/scenario -run Reference -update) -->\n"

func init() {
	maps.Copy(sectionTitles, map[string]string{
		"l7": "l7", "l7standalone": "The file of l7 run", "l7service": "A service of l7 run", "l7backend": "A backend of l7 run",
	})
}

const shortL7 = `services:
  web:
    vip: 0.0.0.0:80
    backends: [10.0.0.11, 10.0.0.12:8080]
`

func l7Standalone(t *testing.T, text string) *L7Standalone {
	t.Helper()
	s, err := ParseL7Standalone("/etc/lbctl/site.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAFileOfL7RunOfFourLinesHasDefaults(t *testing.T) {
	got := l7Standalone(t, shortL7)
	addr := netip.MustParseAddrPort
	if got.Name != "site" || got.L7 != (lb.Shape{Model: lb.ModelLoop}) || got.Dir != "" || got.API.Addr.IsValid() {
		t.Errorf("%+v", got)
	}
	web := got.Config.Services[0]
	if web.Plane != lb.L7 || web.VIP != (lb.VIP{Addr: addr("0.0.0.0:80"), Proto: lb.TCP}) || web.Policy != lb.WeightedRoundRobin || !cmp.Equal(web.HTTP, httpOf(HTTPSpec{})) {
		t.Errorf("service: %+v", web)
	}
	want := []lb.Backend{{Name: "10.0.0.11", Addr: addr("10.0.0.11:80"), Weight: 1}, {Name: "10.0.0.12:8080", Addr: addr("10.0.0.12:8080"), Weight: 1}}
	if diff := cmp.Diff(want, web.Backends, byValue()); diff != "" {
		t.Errorf("backends (-want +got):\n%s", diff)
	}
	if c := got.Config.Checks[0]; web.Check != "default" || c.Kind != lb.CheckHTTP || c.Interval != time.Second {
		t.Errorf("judged by %q: %+v", web.Check, c)
	}
}

func TestEveryKeyOfAFileOfL7RunCountsAndIsValidByItsSchema(t *testing.T) {
	text, err := os.ReadFile("testdata/standalone/l7-everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := l7Standalone(t, string(text))
	if s.Name != "edge" || s.Dir != "/run/edge" || s.API.Addr.Port() != 9090 || s.L7.Threads != 8 || len(s.Config.Services) != 3 {
		t.Errorf("%+v", s)
	}
	if b := s.Config.Services[0].Backends[0]; b.Name != "a" || b.Weight != 3 {
		t.Errorf("backend: %+v", b)
	}
	if web := s.Config.Services[0]; len(web.Routes) != 4 || web.Routes[0].Service != "api" {
		t.Errorf("routes: %+v", web.Routes)
	}
	if api := s.Config.Services[1]; api.VIP.Addr.IsValid() || api.Backends[0].Addr.Port() != 80 || api.Backends[0].MaxConn != 10 || !api.Backends[1].Backup {
		t.Errorf("a service without a VIP: %+v", api)
	}
	if h := s.Config.Services[0].HTTP; h.Retries != -1 || h.ClientIdleTimeout != 90*time.Second {
		t.Errorf("http: %+v", h)
	}
	if err := validateBy(t, L7StandaloneSchema(), text); err != nil {
		t.Error(err)
	}
	eachSectionOf[L7StandaloneSpec](func(name string, fields fields) {
		for _, f := range fields {
			if !regexp.MustCompile(`\b` + f.name + `:`).Match(text) {
				t.Errorf("the file does not use %s of %s", f.name, name)
			}
		}
	})
}

func TestBrokenFilesOfL7RunFailWithTheirGoldenErrors(t *testing.T) {
	able := func(s lb.Service) error {
		if s.Policy == lb.SourceHash {
			return errors.New("the plane cannot do this")
		}
		return nil
	}
	for _, name := range []string{"l7-broken", "l7-senseless"} {
		file := filepath.Join("testdata/standalone", name+".yaml")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseL7Standalone(filepath.Base(file), data, able)
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

func TestWhatARunningBalancerOfHTTPCannotChangeIsNamedWithItsPlace(t *testing.T) {
	running := l7Standalone(t, shortL7)
	if err := running.Restart(l7Standalone(t, shortL7+"l7: loop\n")); err != nil {
		t.Errorf("a default that was written out: %v", err)
	}
	if err := running.Restart(l7Standalone(t, strings.Replace(shortL7, ":80\n", ":81\n", 1))); err != nil {
		t.Errorf("another VIP: %v", err)
	}
	err := running.Restart(l7Standalone(t, "l7: event\n"+shortL7+"api: 9090\ndir: /run/x\n"))
	var all Errors
	if !errors.As(err, &all) || len(all) != 3 {
		t.Fatalf("three changes: %v", err)
	}
	for i, line := range []int{1, 6, 7} {
		if all[i].Line != line {
			t.Errorf("error %d is on line %d, want %d: %v", i, all[i].Line, line, all[i])
		}
	}
}

func TestOnlyOneServiceListensAtAnAddress(t *testing.T) {
	for _, c := range []struct {
		a, b string
		ok   bool
	}{
		{"192.0.2.1:80", "192.0.2.1:80", false},
		{"0.0.0.0:80", "192.0.2.1:80", false},
		{"'[2001:db8::1]:80'", "'[::]:80'", false},
		{"0.0.0.0:80", "'[::]:80'", true},
		{"0.0.0.0:80", "192.0.2.1:81", true},
		{"192.0.2.1:80", "192.0.2.2:80", true},
	} {
		text := "services:\n  a: {vip: " + c.a + ", backends: [10.0.0.1]}\n  b: {vip: " + c.b + ", backends: [10.0.0.1]}\n"
		if _, err := ParseL7Standalone("x.yaml", []byte(text), nil); (err == nil) != c.ok {
			t.Errorf("%s and %s: %v", c.a, c.b, err)
		}
	}
}

// Whatever the bytes, ParseL7Standalone returns; what it refuses, it refuses at a
// position; what it accepts has all that a balancer needs.
func FuzzParseL7Standalone(f *testing.F) {
	files, err := filepath.Glob("testdata/standalone/l7-*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range append(files, "../../balancers/http.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseL7Standalone("fuzz.yaml", data, nil)
		var all Errors
		if err != nil && (!errors.As(err, &all) || all[0].Line < 1 || all[0].Column < 1) {
			t.Fatalf("an error without a place: %v", err)
		}
		if err != nil {
			return
		}
		if s.Name == "" || len(s.Config.Services) == 0 || s.Restart(s) != nil || s.L7.CheckTyped() != nil {
			t.Errorf("accepted: %+v", s)
		}
		for _, svc := range s.Config.Services {
			if svc.VIP.Addr.IsValid() && svc.VIP.Addr.Port() == 0 || len(svc.Backends) == 0 || svc.Policy == "" {
				t.Errorf("accepted: %+v", svc)
			}
		}
	})
}

func TestAFileOfL7RunIsRefusedWhereRoutesOrThePlaneCannot(t *testing.T) {
	able := func(lb.Service) error { return errors.New("the plane cannot do this") }
	for _, c := range []struct{ text, want string }{
		{shortL7, "x.yaml:2:3: service web: the plane cannot do this"},
		{shortL7 + "    policy: hash\n", "x.yaml:5:13: policy: hash needs http.hash"},
		{shortL7 + "    http: {routes: [{path: /a, service: wbe}]}\n", `x.yaml:5:41: unknown service "wbe"; did you mean "web"?`},
		{shortL7 + "  apart: {vip: none, backends: [10.0.0.1]}\n", "x.yaml:5:16: vip: service apart has none, and no route of another service leads to it"},
	} {
		_, err := ParseL7Standalone("x.yaml", []byte(c.text), able)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
