package balance

import (
	"strings"
	"testing"

	"lbctl/internal/lb"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

func mustStick(t testing.TB, key []byte, service string, backends []lb.Backend) *Sticky {
	t.Helper()
	s, err := NewSticky(key, service, backends)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAValueLeadsBackToItsBackend(t *testing.T) {
	s := mustStick(t, secret, "web", equals(3))
	for id := lb.BackendID(1); id <= 3; id++ {
		if got, ok := s.Read(s.Append(nil, id)); !ok || got != id {
			t.Errorf("the value for %d leads to %d, %t", id, got, ok)
		}
	}
	if got := string(s.Append([]byte("x="), 9)); got != "x=" {
		t.Errorf("a stranger has the value %q", got)
	}
	// Pinned: a change forgets every session.
	if got := string(s.Append([]byte("x="), 1)); got != "x=T9nXJTYaZ9PAklPJWGygKXMx" {
		t.Errorf("value %q", got)
	}
}

func TestAValueOutlivesTheBackendsIDAndAddress(t *testing.T) {
	value := mustStick(t, secret, "web", equals(3)).Append(nil, 2)
	again := equals(3)
	again[1].ID, again[1].Addr, again[1].Weight = 77, again[0].Addr, 9
	if id, ok := mustStick(t, secret, "web", again).Read(value); !ok || id != 77 {
		t.Errorf("leads to %d, %t, want 77", id, ok)
	}
}

func TestOtherValuesLeadNowhere(t *testing.T) {
	s := mustStick(t, secret, "web", equals(3))
	good := string(s.Append(nil, 2))
	other := mustStick(t, []byte("another key, also long enough"), "web", equals(3))
	for name, value := range map[string]string{
		"empty": "", "garbage": "!", "short": "abcd", "cut off": good[:len(good)-1], "MAC only": good[:22], "longer": good + "A",
		"padded": good + "=", "huge": strings.Repeat("A", 10000), "longest": strings.Repeat("A", 361), "upper": strings.ToUpper(good),
		"of another service": string(mustStick(t, secret, "shop", equals(3)).Append(nil, 2)),
		"of another key":     string(other.Append(nil, 2)),
		"gone":               string(mustStick(t, secret, "web", equals(4)).Append(nil, 4)),
		"moved border":       string(mustStick(t, secret, "webs", named("2")).Append(nil, 1)),
		"another's MAC":      string(s.Append(nil, 1))[:21] + good[21:],
	} {
		if id, ok := s.Read([]byte(value)); ok || id != 0 {
			t.Errorf("%s: %q leads to %d", name, value, id)
		}
	}
	for i := range good {
		forged := []byte(good)
		forged[i] ^= 1
		if id, ok := s.Read(forged); ok {
			t.Errorf("%q leads to %d", forged, id)
		}
	}
}

func named(name string) []lb.Backend {
	out := equals(1)
	out[0].Name = name
	return out
}

func TestStickyRefusesWhatItCannotSign(t *testing.T) {
	for name, err := range map[string]error{
		"short key": errorOf(NewSticky([]byte("short"), "web", equals(1))),
		"no name":   errorOf(NewSticky(secret, "web", named(""))),
		"long name": errorOf(NewSticky(secret, "web", named(strings.Repeat("a", 256)))),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	long := mustStick(t, secret, "web", named(strings.Repeat("a", 255)))
	if id, ok := long.Read(long.Append(nil, 1)); !ok || id != 1 {
		t.Error("a name of 255 bytes does not lead back")
	}
}

func errorOf(_ *Sticky, err error) error { return err }

func TestStickyAllocatesNothing(t *testing.T) {
	s := mustStick(t, secret, "web", equals(3))
	space := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() { s.Read(s.Append(space, 3)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzSticky(f *testing.F) {
	s := mustStick(f, secret, "web", equals(3))
	f.Add(s.Append(nil, 1))
	f.Add([]byte("AAAA\n"))
	f.Fuzz(func(t *testing.T, value []byte) {
		if id, ok := s.Read(value); ok && string(s.Append(nil, id)) != string(value) {
			t.Errorf("%q leads to %d", value, id)
		}
	})
}

func BenchmarkStickyRead(b *testing.B) {
	s := mustStick(b, secret, "web", equals(16))
	value := s.Append(nil, 3)
	for b.Loop() {
		s.Read(value)
	}
}
