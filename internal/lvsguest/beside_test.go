package lvsguest

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// beside boots the second guest once: the real ipvsadm beside ours, IPVS beside
// our plane, on the kernel that has all hooks.
func beside(t *testing.T) string {
	t.Helper()
	if missing := Missing(); missing != "" {
		t.Skip(missing)
	}
	besideOnce.Do(func() { besideSaid, besideErr = bootBeside() })
	if besideErr != nil {
		t.Fatal(besideErr)
	}
	return besideSaid
}

var (
	besideOnce sync.Once
	besideSaid string
	besideErr  error
)

func bootBeside() (string, error) {
	dir, err := os.MkdirTemp("", "lvsbeside")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	files := []string{"testdata/beside/beside.txt", "modules.sh", "net.sh", "plane.sh"}
	for name, from := range map[string]string{"agent": "./agent", "bench": "./bench", "lbctl": "lbctl/cmd/lbctl"} {
		binary := filepath.Join(dir, name)
		build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, from)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return "", err
		}
		files = append(files, binary)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 16*time.Minute)
	defer cancel()
	out, err := Run(ctx, ".", Job{Script: "beside.sh", Files: files, Backports: true, Limit: 15 * time.Minute})
	return string(out), err
}

// part is what the guest said after "@@ NAME".
func part(said, name string) string {
	_, rest, _ := strings.Cut(said, "@@ "+name+"\n")
	for _, next := range []string{"real", "ours", "bench"} {
		rest, _, _ = strings.Cut(rest, "@@ "+next+"\n")
	}
	return rest
}

func TestOurIpvsadmPrintsWhatTheRealOneDoesBesideIt(t *testing.T) {
	said := beside(t)
	commands, err := os.ReadFile("testdata/beside/beside.txt")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(commands), "\n$ "); n < 60 {
		t.Errorf("%d command lines, want at least 60", n)
	}
	real, ours := blocks(sections(part(said, "real"))["beside.txt"]), blocks(sections(part(said, "ours"))["beside.txt"])
	if len(real) != strings.Count(string(commands), "\n$ ") || len(ours) != len(real) {
		t.Fatalf("the guest carried out %d and %d command lines:\n%s", len(real), len(ours), said)
	}
	for i := range real {
		if diff := cmp.Diff(untimed(real[i]), untimed(ours[i])); diff != "" {
			t.Errorf("command line %d: -real +ours\n%s", i+1, diff)
		}
	}
}

// expires is what a line of -Lc says of the time that is left.
var expires = regexp.MustCompile(`(?m)^(> (?:TCP|UDP|IP ) )\d\d:\d\d `)

// untimed is what a command printed, connections in any order and whatever time
// each has left.
func untimed(block string) string {
	if !strings.HasPrefix(strings.Replace(block, "-L -c", "-Lc", 1), "ipvsadm -Lc") {
		return block
	}
	lines := strings.Split(expires.ReplaceAllString(block, "${1}##:## "), "\n")
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

// blocks are the command lines of a transcript, each with what it printed.
func blocks(transcript string) (all []string) {
	for _, block := range strings.Split(transcript, "\n$ ")[1:] {
		all = append(all, strings.TrimSuffix(block, "\n"))
	}
	return all
}

// Each arm of the bench has the kernel's and our plane carry load to all servers.
func TestEveryArmOfTheBenchCarriesLoad(t *testing.T) {
	runs := 0
	for line := range strings.Lines(part(beside(t), "bench")) {
		var run struct {
			Arm       string
			KeepAlive bool `json:"keep_alive"`
			Requests  uint64
			Errors    map[string]uint64
			Servers   map[string]uint64
		}
		if err := json.Unmarshal([]byte(line), &run); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		runs++
		if run.Requests == 0 || len(run.Errors) > 0 || len(run.Servers) != 2 {
			t.Errorf("%s: %d requests were answered by %v, errors %v", run.Arm, run.Requests, run.Servers, run.Errors)
		}
	}
	if runs < 2*(3+3*4) {
		t.Errorf("%d runs, want both loads on direct, wire, routed, and on IPVS and each hook of ours by three ways", runs)
	}
}
