package lvsguest

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the guest says into testdata")

// guest boots once for all tests of this package and returns the sections that
// the job printed, by name.
func guest(t *testing.T) map[string]string {
	t.Helper()
	if missing := Missing(); missing != "" {
		t.Skip(missing)
	}
	once.Do(func() { said, booted = boot(write(t, contests())) })
	if booted != nil {
		t.Fatal(booted)
	}
	return said
}

var (
	once   sync.Once
	said   map[string]string
	booted error
)

func boot(program string) (map[string]string, error) {
	dir, err := os.MkdirTemp("", "lvsguest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	agent := filepath.Join(dir, "agent")
	build := exec.Command("go", "build", "-o", agent, "./agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	schedulers := filepath.Join(dir, "schedulers.program")
	if err := os.WriteFile(schedulers, []byte(program), 0o644); err != nil {
		return nil, err
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 11*time.Minute)
	defer cancel()
	out, err := Run(ctx, ".", Job{
		Script: "job.sh",
		Files:  append(files, agent, schedulers, "modules.sh", "net.sh", "transcripts.sh"),
		Limit:  10 * time.Minute,
	})
	return sections(string(out)), err
}

// sections splits "@@ begin NAME" … "@@ end"; what is outside has the name "".
func sections(out string) map[string]string {
	found := map[string]string{}
	name, text := "", new(strings.Builder)
	for line := range strings.Lines(out) {
		switch begin, is := strings.CutPrefix(line, "@@ begin "); {
		case is:
			name = strings.TrimSpace(begin)
			text.Reset()
		case strings.HasPrefix(line, "@@ end"):
			found[name] = text.String()
			name = ""
		case name == "":
			found[""] += line
		default:
			text.WriteString(line)
		}
	}
	return found
}
