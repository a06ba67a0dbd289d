package ctl

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// changed returns the changes, as text, from one configuration to an edited copy of it.
func edited(t *testing.T, edit func(*lb.Config)) (before, after state, changes []string) {
	t.Helper()
	before, _ = newState().configured(testConfig(3))
	config := testConfig(3)
	edit(&config)
	if err := validate(config); err != nil {
		t.Fatal(err)
	}
	after, list := before.configured(config)
	for _, c := range list {
		changes = append(changes, c.String())
	}
	return before, after, changes
}

func TestChangesReadAsWhatWasEdited(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*lb.Config)
		want []string
	}{
		{"nothing", func(*lb.Config) {}, nil},
		{"a weight", func(c *lb.Config) { c.Services[0].Backends[1].Weight = 3 }, []string{"change backend web-l4/s2: weight 1 -> 3"}},
		{"a policy and the vip", func(c *lb.Config) {
			c.Services[1].Policy, c.Services[1].VIP.Addr = lb.LeastConn, netip.MustParseAddrPort("198.18.3.9:80")
		}, []string{"change service web-l7: vip 198.18.3.2:80/tcp -> 198.18.3.9:80/tcp, policy wrr -> lc"}},
		{"a check's interval and path", func(c *lb.Config) {
			c.Checks[0].Interval, c.Checks[0].HTTP.Path = 2*time.Second, "/up"
		}, []string{"change check tcp: http.path none -> /up, interval 1s -> 2s"}},
		{"a backend less", func(c *lb.Config) { c.Services[0].Backends = c.Services[0].Backends[:2] }, []string{"delete backend web-l4/s3: 198.18.4.3:80"}},
		{"a backend more", func(c *lb.Config) {
			c.Services[0].Backends = append(c.Services[0].Backends, lb.Backend{Name: "s4", Addr: server(4), Weight: 2})
		}, []string{"create backend web-l4/s4: 198.18.4.4:80, weight 2"}},
		{"a backend's name", func(c *lb.Config) { c.Services[0].Backends[0].Name = "a" }, []string{"change backend web-l4/a: name s1 -> a"}},
		{"a service less and one more", func(c *lb.Config) { c.Services[1].Name = "shop" }, []string{"create service shop: l7 198.18.3.2:80/tcp, wrr, 3 backends", "delete service web-l7"}},
		{"a timeout of the proxy", func(c *lb.Config) { c.Services[1].HTTP.ConnectTimeout = time.Second }, []string{"change service web-l7: http.connect_timeout 0s -> 1s"}},
		{"what clients may address beside the vip", func(c *lb.Config) {
			c.Services[0].L4.Also = []lb.Match{{Prefix: netip.MustParsePrefix("198.18.3.1/32"), First: 8000, Last: 8099, Proto: lb.TCP}, {Prefix: netip.MustParsePrefix("198.18.100.0/24"), Proto: lb.UDP}}
			for i := range c.Services[0].Backends {
				c.Services[0].Backends[i].Weight = 1
			}
		}, []string{"change service web-l4: l4.also none -> 198.18.3.1:8000-8099/tcp 198.18.100.0/24:any/udp"}},
		{"the order of everything", func(c *lb.Config) {
			slices.Reverse(c.Services)
			slices.Reverse(c.Services[0].Backends)
		}, nil},
		{"an empty map for none", func(c *lb.Config) { c.Checks[0].HTTP.Header = map[string]string{} }, nil},
		{"what only the Controller may say", func(c *lb.Config) {
			c.Services[0].Backends[0].ID, c.Services[0].Backends[0].Health, c.Services[0].Backends[0].Admin = 9, lb.Down, lb.Disabled
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, got := edited(t, tt.edit); !slices.Equal(got, tt.want) {
				t.Errorf("changes are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func ids(s state) map[string]lb.BackendID {
	ids := map[string]lb.BackendID{}
	for _, svc := range s.snapshot().Services {
		for _, b := range svc.Backends {
			ids[svc.Name+"/"+b.Addr.String()] = b.ID
		}
	}
	return ids
}

func TestIDsStayAndAreNeverReused(t *testing.T) {
	before, without, _ := edited(t, func(c *lb.Config) {
		c.Services[0].Backends = c.Services[0].Backends[1:]
		c.Services[0].Backends[0].Weight = 7
		c.Services[0].Backends[0].Name = "renamed"
	})
	was, is := ids(before), ids(without)
	seen := map[lb.BackendID]bool{}
	for key, id := range was {
		if id == 0 || seen[id] {
			t.Errorf("%s has the ID %d, which is 0 or another's", key, id)
		}
		seen[id] = true
	}
	for key, id := range is {
		if was[key] != id {
			t.Errorf("%s had ID %d and has %d", key, was[key], id)
		}
	}
	again, _ := without.configured(testConfig(3))
	if id := ids(again)["web-l4/"+server(1).String()]; seen[id] {
		t.Errorf("a backend that left and came back has the used ID %d", id)
	}
}

func TestAWeightSetAtRuntimeLastsUntilTheScenariosOwnChanges(t *testing.T) {
	s, _ := newState().configured(testConfig(3))
	s, _, err := s.patched("web-l4", "s1", BackendPatch{Weight: ptr(uint32(5))})
	if err != nil {
		t.Fatal(err)
	}
	weight := func(s state) uint32 { return s.snapshot().Services[0].Backends[0].Weight }
	other := testConfig(3)
	other.Services[0].Backends[1].Weight = 9
	if s, _ = s.configured(other); weight(s) != 5 {
		t.Errorf("another backend's weight changed this one's from 5 to %d", weight(s))
	}
	if again, changes := s.configured(other); len(changes) != 0 || weight(again) != 5 {
		t.Errorf("the same scenario again changed %v", changes)
	}
	other.Services[0].Backends[0].Weight = 2
	if s, changes := s.configured(other); weight(s) != 2 || len(changes) != 1 {
		t.Errorf("the scenario's new weight 2 left %d after %v", weight(s), changes)
	}
}

func TestAdminStateOutlivesNewConfigurations(t *testing.T) {
	s, _ := newState().configured(testConfig(3))
	s, _, _ = s.patched("web-l4", "s1", BackendPatch{Admin: ptr(lb.Draining)})
	edit := testConfig(3)
	edit.Services[0].Backends[0].Weight = 4
	s, _ = s.configured(edit)
	if b := s.snapshot().Services[0].Backends[0]; b.Admin != lb.Draining || b.Weight != 4 {
		t.Errorf("after a new weight the backend is %s with weight %d", b.Admin, b.Weight)
	}
	if b := s.snapshot().Services[1].Backends[0]; b.Admin != lb.Enabled {
		t.Errorf("draining s1 in one service made it %s in the other", b.Admin)
	}
}

func TestHealthIsByAddressAndCheck(t *testing.T) {
	config := testConfig(2)
	other := config.Checks[0]
	other.Name = "other"
	config.Checks = append(config.Checks, other)
	third := config.Services[1]
	third.Name, third.Check, third.VIP.Addr = "third", "other", netip.MustParseAddrPort("198.18.3.3:80")
	unchecked := third
	unchecked.Name, unchecked.Check, unchecked.VIP.Addr = "unchecked", "", netip.MustParseAddrPort("198.18.3.4:80")
	config.Services = append(config.Services, third, unchecked)
	s, _ := newState().configured(config)
	s, touched := s.transitioned(lb.Transition{Target: lb.Target{Addr: server(1), Check: "tcp"}, To: lb.Up})
	if want := []string{"web-l4/s1", "web-l7/s1"}; !slices.Equal(touched, want) {
		t.Errorf("touched %v, want %v", touched, want)
	}
	var health []string
	for _, svc := range s.snapshot().Services {
		for _, b := range svc.Backends {
			health = append(health, b.Health.String())
		}
	}
	if want := []string{"up", "unknown", "up", "unknown", "unknown", "unknown", "up", "up"}; !slices.Equal(health, want) {
		t.Errorf("health is %v, want %v", health, want)
	}
	if _, touched := s.transitioned(lb.Transition{Target: lb.Target{Addr: server(9), Check: "tcp"}, To: lb.Up}); touched != nil {
		t.Errorf("news of a stranger touched %v", touched)
	}
}

func TestASnapshotIsNobodyElses(t *testing.T) {
	s, _ := newState().configured(testConfig(2))
	first := s.snapshot()
	first.Services[0].Backends[0].Weight = 99
	first.Services[0].Name = "spoilt"
	if b := s.snapshot(); b.Services[0].Backends[0].Weight != 1 || b.Services[0].Name != "web-l4" {
		t.Error("writing to a snapshot wrote to the state")
	}
}
