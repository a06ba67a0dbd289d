package ctl

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/internal/lb"
)

func populated(t *testing.T) state {
	t.Helper()
	s, _ := newState().configured(testConfig(3))
	s.revision, s.configRevision, s.timeouts = 41, 7, lb.Timeouts{UDP: time.Minute}
	s, _, err := s.patched("web-l4", "s2", BackendPatch{Admin: ptr(lb.Draining), Weight: ptr(uint32(9))})
	if err != nil {
		t.Fatal(err)
	}
	s, _ = s.transitioned(lb.Transition{Target: lb.Target{Addr: server(1), Check: "tcp"}, To: lb.Down, Reason: "refused", At: time.Now()})
	return s
}

func TestAStateComesBackAsItWasSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	saved := populated(t)
	for range 2 { // the second time over an existing file
		if err := saveState(path, "test", saved); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := loadState(path, "test")
	if err != nil {
		t.Fatal(err)
	}
	options := cmp.Options{
		cmp.AllowUnexported(state{}, memberKey{}, member{}, finding{}), cmpopts.EquateComparable(server(1), server(1).Addr()),
		cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(0),
	}
	if diff := cmp.Diff(saved, loaded, options); diff != "" {
		t.Errorf("saved (-) and loaded (+) differ:\n%s", diff)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the state file has mode %#o", info.Mode().Perm())
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("saving left %d files", len(entries))
	}
}

func TestAStateThatIsNotUnderstoodIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := saveState(path, "test", populated(t)); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loadState(path, "another"); err == nil || !strings.Contains(err.Error(), `it is lab "test"'s`) {
		t.Errorf("another lab's state: %v", err)
	}
	for name, edit := range map[string][2]string{
		"cut short":               {string(good[len(good)/2:]), ""},
		"an unknown field":        {`"format"`, `"colour": 1, "format"`},
		"a later format":          {`"format": 1`, `"format": 2`},
		"an ID twice":             {`"id": 2`, `"id": 1`},
		"an ID not yet given out": {`"next_id": 7`, `"next_id": 3`},
		"a backend without ID":    {`"service": "web-l7"`, `"service": "gone"`},
		"an invalid config":       {`"policy": "mh"`, `"policy": "best"`},
		"something behind it":     {"\n}\n", "\n}\n{}"},
	} {
		bad := strings.Replace(string(good), edit[0], edit[1], 1)
		if bad == string(good) {
			t.Fatalf("%s: the edit hit nothing", name)
		}
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadState(path, "test"); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// What loads can be saved, and means the same when it is loaded again.
func FuzzDecodeState(f *testing.F) {
	s, _ := newState().configured(testConfig(2))
	seed, err := encodeState("test", s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"format":1,"lab":"test","next_id":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := decodeState(data, "test")
		if err != nil {
			return
		}
		first.snapshot()
		again, err := encodeState("test", first)
		if err != nil {
			t.Fatalf("what loaded cannot be saved: %v", err)
		}
		second, err := decodeState(again, "test")
		if err != nil {
			t.Fatalf("what was saved does not load: %v", err)
		}
		if !reflect.DeepEqual(first.snapshot(), second.snapshot()) {
			t.Fatal("a state changes by being saved")
		}
	})
}
