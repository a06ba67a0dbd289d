package scenario

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const repository = "../../scenarios/"

func repositoryFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(repository + "*.yaml")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d scenarios, %v: want 7 or more", len(files), err)
	}
	return files
}

func load(t testing.TB, path string) *Scenario {
	t.Helper()
	spec, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := spec.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// resolve is load for a text.
func resolve(t testing.TB, text string) *Scenario {
	t.Helper()
	s, err := understand("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func nodeOf(t testing.TB, s *Scenario, name string) Node {
	t.Helper()
	for _, n := range s.Topology.Nodes {
		if n.Name == name {
			return n
		}
	}
	t.Fatalf("no node %s", name)
	return Node{}
}

func TestEveryScenarioOfTheRepositoryResolvesAndTellsItsStory(t *testing.T) {
	for _, file := range repositoryFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := load(t, file)
			if want := strings.TrimSuffix(filepath.Base(file), ".yaml"); s.Name != want || s.Topology.Lab != want {
				t.Errorf("it is named %s (lab %s): want its file's name", s.Name, s.Topology.Lab)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(text), "# ") {
				t.Error("it does not begin with its story")
			}
			checkInvariants(t, s)
		})
	}
}

func TestAScenarioSurvivesJSON(t *testing.T) {
	for _, file := range repositoryFiles(t) {
		want := load(t, file)
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := new(Scenario)
		if err := json.Unmarshal(data, got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, byValue(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestResolveGivesTheSameTwice(t *testing.T) {
	for _, file := range repositoryFiles(t) {
		if diff := cmp.Diff(load(t, file), load(t, file), byValue()); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
	}
}

func TestTheCommonCaseIsFifteenLinesOrLess(t *testing.T) {
	text, err := os.ReadFile(repository + "l4-vs-l7.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			lines++
		}
	}
	if lines > 15 {
		t.Errorf("%d lines without comments: want 15 or less", lines)
	}
}

func TestLoadNamesAFileThatIsNotThere(t *testing.T) {
	_, err := Load("testdata/no-such.yaml")
	if err == nil || !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
}

func TestFilesAreBoundInSize(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, []byte(strings.Repeat("# comment\n", maxFile/10+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(big); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
	if _, err := Parse("long.yaml", []byte("name: "+strings.Repeat("x", maxLine))); err == nil || !strings.Contains(err.Error(), "the line has") {
		t.Errorf("got %v", err)
	}
}
