package scenario

import (
	"strings"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestWhatTheL7PlaneOfABalancerIsToldOfProcesses(t *testing.T) {
	const file = "name: x\nbalancers: 2\nservers: 1\nnodes:\n  lb1: {}\n  lb2: {}\nservices:\n  web: {plane: l7}\n"
	loop, event := lb.Shape{Model: lb.ModelLoop}, lb.Shape{Model: lb.ModelEvent}
	for _, c := range []struct {
		lb1, lb2 string
		want     [2]lb.Shape
	}{
		{"{}", "{}", [2]lb.Shape{loop, loop}},
		{"{l7: event}", "{}", [2]lb.Shape{event, event}},
		{"{l7: event}", "{l7: loop}", [2]lb.Shape{event, loop}},
		{"{l7: {model: event, log_level: debug}}", "{l7: {log_level: error}}", [2]lb.Shape{{Model: lb.ModelEvent, LogLevel: "debug"}, {Model: lb.ModelLoop, LogLevel: "error"}}},
		{"{l7: {processes: 3}}", "{l7: {model: prefork, start: 2, min_spare: 3, max_spare: 4, processes: 7}}", [2]lb.Shape{
			{Model: lb.ModelLoop, Processes: 3}, {Model: lb.ModelPrefork, Start: 2, MinSpare: 3, MaxSpare: 4, Processes: 7},
		}},
		{"{l7: {drain_timeout: 5m}}", "{l7: {model: event, drain_timeout: 24h}}", [2]lb.Shape{
			{Model: lb.ModelLoop, DrainTimeout: 5 * time.Minute}, {Model: lb.ModelEvent, DrainTimeout: 24 * time.Hour},
		}},
	} {
		text := strings.Replace(strings.Replace(file, "lb1: {}", "lb1: "+c.lb1, 1), "lb2: {}", "lb2: "+c.lb2, 1)
		for i, b := range resolve(t, text).Topology.Balancers() {
			if b.L7 != c.want[i] {
				t.Errorf("%s and %s: %s is told %+v, want %+v", c.lb1, c.lb2, b.Name, b.L7, c.want[i])
			}
		}
	}
}
