package lab

import (
	"path/filepath"
	"testing"

	"lbctl/internal/scenario"
)

// The benchmark brings the one with 200 servers up.
const smallLab = 20

func TestEverySmallScenarioOfTheRepositorySettlesAtOnce(t *testing.T) {
	files, err := filepath.Glob("../../scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		spec, err := scenario.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := spec.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Topology.Nodes) > smallLab {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			o := options(t)
			planned, err := Plan(o, s.Topology)
			if err != nil {
				t.Fatal(err)
			}
			lab, done := mustUp(t, o, s.Topology)
			if len(done) != len(planned) {
				t.Errorf("%d changes done, %d planned: %v", len(done), len(planned), done[len(planned):])
			}
			_, again := mustUp(t, o, s.Topology)
			wantChanges(t, again)
			client := from(t, lab, "c1")
			for _, service := range s.Config.Services {
				for _, backend := range service.Backends {
					if get(t, client, "http://"+s.Topology.Direct(service, backend).String()+"/") == "" {
						t.Errorf("backend %s of %s does not answer the client", backend.Name, service.Name)
					}
				}
			}
		})
	}
}
