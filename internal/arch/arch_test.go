package arch

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// floors says how high each room stands. docs/architecture.md has the picture.
var floors = map[string]int{
	"lbctl/internal/lb":         0,
	"lbctl/internal/splice":     0,
	"lbctl/internal/rawsock":    0,
	"lbctl/internal/scenario":   1,
	"lbctl/internal/balance":    1,
	"lbctl/internal/http1":      1,
	"lbctl/internal/ipvsadm":    1,
	"lbctl/internal/ipvs":       1,
	"lbctl/internal/netns":      1,
	"lbctl/internal/systemd":    1,
	"lbctl/internal/loop":       1,
	"lbctl/internal/scoreboard": 1,
	"lbctl/internal/supervise":  1,
	"lbctl/internal/accesslog":  1,
	"lbctl/internal/proxy":      2,
	"lbctl/l4":                  3,
	"lbctl/l7":                  3,
	"lbctl/healthcheck":         3,
	"lbctl/internal/lab":        3,
	"lbctl/internal/flowsync":   3,
	"lbctl/internal/takeover":   3,
	"lbctl/internal/traffic":    3,
	"lbctl/ctl":                 4,
	"lbctl/internal/report":     4,
	"lbctl/ctl/cli":             5,
	"lbctl/cmd/lbctl":           6,
}

// outside lists packages that stand beside the house: tests and generators.
// Nothing in the house may import them.
var outside = map[string]bool{
	"lbctl/internal/arch":           true,
	"lbctl/internal/e2e":            true,
	"lbctl/internal/l7bench":        true,
	"lbctl/internal/lvsguest":       true,
	"lbctl/internal/lvsguest/agent": true,
	"lbctl/internal/lvsguest/bench": true,
}

// fences lists libraries that only the named rooms may import, and why.
var fences = []struct {
	library, reason string
	rooms           []string
}{
	{"github.com/cilium/ebpf", "one room knows how the data plane is loaded", []string{"lbctl/l4"}},
	{"github.com/urfave/cli", "the command line is a shell around the client", []string{"lbctl/ctl/cli"}},
	{"github.com/prometheus/client_golang", "counters are lb.Stats; who shows them to Prometheus is the API", []string{"lbctl/ctl"}},
	{"github.com/gorilla/mux", "HTTP is how one talks to the controller, nowhere else", []string{"lbctl/ctl"}},
	{"github.com/goccy/go-yaml", "a scenario is parsed in one place; output goes through the CLI's printer", []string{"lbctl/internal/scenario", "lbctl/ctl/cli"}},
	{"github.com/vishvananda/netlink", "only those who build links or follow neighbours", []string{"lbctl/internal/netns", "lbctl/internal/lab", "lbctl/internal/takeover", "lbctl/l4"}},
}

type listed struct {
	ImportPath string
	Imports    []string
}

// violations returns one sentence for each forbidden import in the module at dir.
func violations(dir string) ([]string, error) {
	list := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", "./...")
	list.Dir = dir
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w", dir, err)
	}
	var bad []string
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			return nil, err
		}
		bad = append(bad, violationsOf(p)...)
	}
	return bad, nil
}

func violationsOf(p listed) (bad []string) {
	if outside[p.ImportPath] {
		return nil
	}
	floor, known := floors[p.ImportPath]
	if !known {
		return []string{fmt.Sprintf("%s stands on no floor: give it one in internal/arch and docs/architecture.md", p.ImportPath)}
	}
	for _, imp := range p.Imports {
		if outside[imp] {
			bad = append(bad, fmt.Sprintf("%s imports %s, which is for tests only", p.ImportPath, imp))
		}
		if at, ours := floors[imp]; ours && at >= floor {
			bad = append(bad, fmt.Sprintf("%s (floor %d) imports %s (floor %d): a package imports lower floors only", p.ImportPath, floor, imp, at))
		}
		if p.ImportPath == "lbctl/internal/lb" && strings.Contains(imp, ".") {
			bad = append(bad, fmt.Sprintf("%s imports %s: the words need the standard library only", p.ImportPath, imp))
		}
		bad = append(bad, fenceViolations(p.ImportPath, imp)...)
	}
	return bad
}

func fenceViolations(pkg, imp string) (bad []string) {
	for _, f := range fences {
		if imp != f.library && !strings.HasPrefix(imp, f.library+"/") {
			continue
		}
		inside := false
		for _, room := range f.rooms {
			inside = inside || room == pkg
		}
		if !inside {
			bad = append(bad, fmt.Sprintf("%s imports %s, which stays in %s: %s", pkg, imp, strings.Join(f.rooms, ", "), f.reason))
		}
	}
	return bad
}

func TestPackagesImportLowerFloorsOnly(t *testing.T) {
	bad, err := violations("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range bad {
		t.Error(v)
	}
}

// The test of the test: a copy of the module with one forbidden import each.
func TestForbiddenImportsAreFound(t *testing.T) {
	for _, c := range []struct{ name, file, source, want string }{
		{"upwards", "internal/lb/up.go", "package lb\nimport _ \"lbctl/ctl\"\n", "lbctl/internal/lb (floor 0) imports lbctl/ctl (floor 4)"},
		{"neighbour", "l7/neighbour.go", "package l7\nimport _ \"lbctl/l4\"\n", "lbctl/l7 (floor 3) imports lbctl/l4 (floor 3)"},
		{"fence", "ctl/fence.go", "package ctl\nimport _ \"github.com/urfave/cli/v2\"\n", "lbctl/ctl imports github.com/urfave/cli/v2, which stays in lbctl/ctl/cli"},
		{"words", "internal/lb/words.go", "package lb\nimport _ \"golang.org/x/sys/unix\"\n", "lbctl/internal/lb imports golang.org/x/sys/unix"},
		{"homeless", "internal/attic/attic.go", "package attic\n", "lbctl/internal/attic stands on no floor"},
		{"test room", "l7/fromtest.go", "package l7\nimport _ \"lbctl/internal/arch\"\n", "which is for tests only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyModule(t)
			path := filepath.Join(dir, c.file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(c.source), 0o644); err != nil {
				t.Fatal(err)
			}
			bad, err := violations(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(bad, "\n"); !strings.Contains(got, c.want) {
				t.Errorf("violations = %q, want one with %q", got, c.want)
			}
		})
	}
}

// copyModule copies what `go list` reads: go.mod, go.sum and the Go files that
// are no tests.
func copyModule(t *testing.T) string {
	t.Helper()
	dir, root := t.TempDir(), "../.."
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() {
			if d.Name() == ".git" || d.Name() == "build" || d.Name() == "results" || rel == "internal/tools" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		goFile := strings.HasSuffix(rel, ".go") && !strings.HasSuffix(rel, "_test.go")
		if !goFile && rel != "go.mod" && rel != "go.sum" && !strings.HasSuffix(rel, ".o") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
