package cli

import (
	"path/filepath"
	"testing"

	"lbctl/internal/scenario"
	"lbctl/l4"
)

func TestShippedBalancersAreWhatThePlaneCanDo(t *testing.T) {
	files, err := filepath.Glob("../../balancers/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no balancers", err)
	}
	for _, file := range files {
		if _, err := scenario.LoadStandalone(file, l4.Validate); err != nil {
			t.Error(err)
		}
	}
}
