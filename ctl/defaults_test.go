package ctl

import (
	"testing"

	"lbctl/internal/scenario"
	"lbctl/l7"
)

func TestADefaultIsTheSameInAScenarioAndInTheProxy(t *testing.T) {
	spec, err := scenario.Parse("s.yaml", []byte("name: x\nservices: {web: {plane: l7}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := spec.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Config.Services[0].HTTP; got != l7.Defaults {
		t.Errorf("the scenario's: %+v\nthe proxy's: %+v", got, l7.Defaults)
	}
}
