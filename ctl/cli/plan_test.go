package cli

import (
	"testing"

	"lbctl/ctl"
	"lbctl/internal/lb"
	"lbctl/internal/traffic"
)

func TestAPlanSharesByTheWeightsInForce(t *testing.T) {
	p := traffic.Plan{Arms: []traffic.Arm{
		{Name: "direct", Direct: true},
		{Name: "web", Service: lb.Service{Name: "web", Backends: []lb.Backend{{Name: "s1", Weight: 1}}}},
	}}
	inForce(&p, ctl.Status{
		Planes: []ctl.PlaneStatus{{Name: lb.L4, State: ctl.PlaneIdle}, {Name: lb.L7, State: ctl.PlaneApplied}},
		Services: []ctl.ServiceStatus{{Name: "web", Backends: []ctl.BackendStatus{
			{Backend: lb.Backend{Name: "s1", Weight: 7, Admin: lb.Draining}},
		}}},
	})
	if b := p.Arms[1].Service.Backends; len(b) != 1 || b[0].Weight != 7 || b[0].Admin != lb.Draining {
		t.Errorf("backends %+v", b)
	}
	if len(p.Conditions.Notes) != 0 {
		t.Errorf("an idle L4 plane is noted: %q", p.Conditions.Notes)
	}
}
