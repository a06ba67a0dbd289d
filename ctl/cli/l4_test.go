package cli

import (
	"path/filepath"
	"testing"

	"lbctl/internal/scenario"
	"lbctl/l4"
	"lbctl/l7"
)

func TestShippedBalancersAreWhatThePlaneCanDo(t *testing.T) {
	files, err := filepath.Glob("../../balancers/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no balancers", err)
	}
	for _, file := range files {
		_, err := scenario.LoadStandalone(file, l4.Validate)
		if filepath.Base(file) == "http.yaml" { // of l7 run
			_, err = scenario.LoadL7Standalone(file, l7.Validate)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
