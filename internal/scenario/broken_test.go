package scenario

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files and docs/scenario.md instead of comparing with them")

// Must show 7: every broken file fails with its golden error.
func TestBrokenFilesFailWithTheirGoldenErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d broken files, %v: want 20 or more", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = understand(filepath.Base(file), data)
			if err == nil {
				t.Fatalf("%s is accepted", file)
			}
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("the error is a %T: want Errors", err)
			}
			for i, e := range all {
				if e.Line < 1 || e.Column < 1 {
					t.Errorf("error %d has no position: %v", i, e)
				}
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(want), err.Error()+"\n"); diff != "" {
				t.Errorf("(-golden +got):\n%s", diff)
			}
		})
	}
}

// understand parses and resolves.
func understand(file string, data []byte) (*Scenario, error) {
	spec, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	return spec.Resolve()
}
