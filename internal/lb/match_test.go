package lb

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
)

func match(prefix string, first, last uint16) Match {
	return Match{Prefix: netip.MustParsePrefix(prefix), First: first, Last: last, Proto: TCP}
}

func TestMatchReadsAsPeopleWriteIt(t *testing.T) {
	for _, row := range []struct {
		match Match
		want  string
	}{
		{match("198.18.3.1/32", 80, 80), "198.18.3.1:80/tcp"},
		{match("198.18.3.1/32", 0, 0), "198.18.3.1:any/tcp"},
		{match("198.18.3.0/24", 8000, 8099), "198.18.3.0/24:8000-8099/tcp"},
		{match("2001:2::1/128", 80, 80), "[2001:2::1]:80/tcp"},
		{match("2001:2::/64", 0, 0), "[2001:2::/64]:any/tcp"},
	} {
		if got := row.match.String(); got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
}

func TestMatchHoldsItsPrefixAndPorts(t *testing.T) {
	m := match("198.18.3.0/24", 8000, 8099)
	for to, want := range map[string]bool{
		"198.18.3.0:8000": true, "198.18.3.255:8099": true, "198.18.4.0:8000": false,
		"198.18.3.1:7999": false, "198.18.3.1:8100": false, "[::ffff:198.18.3.1]:8000": true,
	} {
		if got := m.Holds(netip.MustParseAddrPort(to), TCP); got != want {
			t.Errorf("%s holds %s: %t, want %t", m, to, got, want)
		}
	}
	if m.Holds(netip.MustParseAddrPort("198.18.3.1:8000"), UDP) {
		t.Error("a Match of TCP holds UDP")
	}
	if any := match("198.18.3.1/32", 0, 0); !any.Holds(netip.MustParseAddrPort("198.18.3.1:65535"), TCP) {
		t.Error("port 0 to 0 does not hold port 65535")
	}
}

func TestMatchesClashIffNeitherComesFirst(t *testing.T) {
	a := match("198.18.3.0/24", 100, 200)
	for _, row := range []struct {
		other Match
		want  bool
	}{
		{a, true},
		{match("198.18.3.0/24", 150, 250), true},
		{match("198.18.3.0/24", 200, 300), true},
		{match("198.18.3.0/24", 201, 300), false},
		{match("198.18.3.0/24", 100, 199), false},
		{match("198.18.3.0/24", 0, 0), false},
		{match("198.18.3.0/25", 150, 250), false},
		{match("198.18.4.0/24", 100, 200), false},
	} {
		if a.Clashes(row.other) != row.want || row.other.Clashes(a) != row.want {
			t.Errorf("%s and %s: want %t, both ways", a, row.other, row.want)
		}
	}
}

func TestServiceTellsWhatClientsMayAddress(t *testing.T) {
	vip := VIP{Addr: netip.MustParseAddrPort("198.18.3.1:80"), Proto: TCP}
	web := Service{VIP: vip}
	group := Service{VIP: vip, L4: L4Options{Also: []Match{match("198.18.3.1/32", 443, 443), match("198.18.5.0/24", 80, 80)}}}
	cache := Service{L4: L4Options{Also: []Match{match("198.18.5.0/24", 80, 80)}}}
	ports := Service{L4: L4Options{Also: []Match{match("198.18.3.1/32", 8000, 8099)}}}
	all := Service{VIP: VIP{Addr: netip.MustParseAddrPort("198.18.3.1:0"), Proto: TCP}}
	for _, row := range []struct {
		service Service
		address string
		target  string
		port    uint16
	}{
		{web, "198.18.3.1:80/tcp", "198.18.3.1:80", 80},
		{group, "198.18.3.1:80/tcp +2", "198.18.3.1:80", 0},
		{cache, "198.18.5.0/24:80/tcp", "198.18.5.1:80", 80},
		{ports, "198.18.3.1:8000-8099/tcp", "198.18.3.1:8000", 0},
		{all, "198.18.3.1:any/tcp", "198.18.3.1:80", 0},
	} {
		port, _ := row.service.Port()
		if row.service.Address() != row.address || row.service.Target().String() != row.target || port != row.port {
			t.Errorf("%s, target %s, port %d; want %s, %s, %d",
				row.service.Address(), row.service.Target(), port, row.address, row.target, row.port)
		}
	}
}

// A service without a VIP goes through the API and the state file unchanged.
func TestServiceWithoutVIPSurvivesJSON(t *testing.T) {
	want := Service{Name: "cache", L4: L4Options{Also: []Match{match("198.18.5.0/24", 80, 80)}}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Service
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v came back from %s", got, text)
	}
}

func TestClashesNameBothServices(t *testing.T) {
	a := Service{Name: "a", L4: L4Options{Also: []Match{match("198.18.3.0/24", 100, 200), match("198.18.3.0/24", 100, 200)}}}
	b := Service{Name: "b", L4: L4Options{Also: []Match{match("198.18.3.0/24", 150, 250)}}}
	c := Service{Name: "c", L4: L4Options{Also: []Match{match("198.18.3.0/24", 0, 0)}}}
	d := Service{Name: "d", VIP: VIP{Addr: netip.MustParseAddrPort("198.18.3.1:80"), Proto: TCP}}
	e := Service{Name: "e", VIP: d.VIP}
	var got []string
	for _, clash := range Clashes([]Service{a, b, c, d, e}) {
		got = append(got, clash.Service+": "+clash.String())
	}
	want := []string{
		`b: 198.18.3.0/24:150-250/tcp overlaps 198.18.3.0/24:100-200/tcp of service "a", and neither is within the other`,
		`b: 198.18.3.0/24:150-250/tcp overlaps 198.18.3.0/24:100-200/tcp of service "a", and neither is within the other`,
		`e: 198.18.3.1:80/tcp is service "d"'s already`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
