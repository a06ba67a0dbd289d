package ctl

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestOnlyPlanesOfFormerBalancersAreForgotten(t *testing.T) {
	c := DaemonConfig{Dir: t.TempDir(), Node: "lb1"}
	for _, name := range []string{"lb1", "lb2", "_decap-s1"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, "bpf", name, "maps"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.forgetOthers(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(c.Dir, "bpf"))
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{"_decap-s1", "lb1"}; !slices.Equal(left, want) {
		t.Errorf("%v are left, want %v", left, want)
	}
}
