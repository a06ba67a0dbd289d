package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

const modelsLab = `
name: models
servers: 2
nodes:
  lb1: {l7: {model: prefork, start: 6, min_spare: 2, max_spare: 12, processes: 20}}
services:
  web: {plane: l7}
`

func TestAnEditedModelTakesOverWhileRequestsGoOn(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("models.yaml", modelsLab)
	w.lbctl("up", file)
	l := w.open("models")
	if out := w.lbctl("status"); !strings.Contains(out, "plane l7: model prefork, at most 20 processes, master ") {
		t.Errorf("status:\n%s", out)
	}
	if out := w.lbctl("up", file); !strings.Contains(out, "0 changes") {
		t.Errorf("the second up did something:\n%s", out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	addr := l.service(t, "web").Target() // a daemon that is being replaced answers nothing
	asking.Go(func() {
		for ctx.Err() == nil {
			c := l.dialTo(t, "web", addr)
			c.ask(t, "while the model changes")
			c.conn.Close()
		}
	})
	edited := strings.Replace(modelsLab, "{model: prefork, start: 6, min_spare: 2, max_spare: 12, processes: 20}", "event", 1)
	w.scenario("models.yaml", edited)
	const change = "change l7 lb1: prefork, start 6, min_spare 2, max_spare 12, processes 20 -> event; new processes take over"
	if out := w.lbctl("up", "--plan", file); !strings.Contains(out, change) {
		t.Errorf("the plan does not say so:\n%s", out)
	}
	if out := w.lbctl("up", file); !strings.Contains(out, change) || !strings.Contains(out, "1 change ") {
		t.Errorf("an edited model is not one change:\n%s", out)
	}
	var boards []ctl.PlaneWorkers
	w.json(&boards, "l7", "workers")
	if len(boards) != 1 || boards[0].Shape.Model != lb.ModelEvent || boards[0].Master == 0 {
		t.Errorf("workers: %+v", boards)
	}
	for _, order := range []struct{ verb, want string }{{"reload", "lab models: generation 2 serves"}, {"upgrade", " serves, master "}} {
		if out := w.lbctl("l7", order.verb); !strings.Contains(out, order.want) {
			t.Errorf("l7 %s: %s", order.verb, out)
		}
	}
	cancel()
	asking.Wait()
	if out := w.lbctl("l7", "models"); !strings.Contains(out, "lab models here: model event") || !strings.Contains(out, "workers take ") {
		t.Errorf("l7 models:\n%s", out)
	}
	if out := w.lbctl("l7", "stop"); !strings.Contains(out, "and the daemon has started") {
		t.Errorf("l7 stop: %s", out)
	}
	l.dial(t, "web").ask(t, "after l7 stop")
	if _, errOut, code := w.try("l7", "scoreboard", "--node", "lb9"); code != 4 || !strings.Contains(errOut, `has no proxy on "lb9"`) {
		t.Errorf("of a node that is none: exit %d, %s", code, errOut)
	}
}

func TestALabWithoutHTTPHasNoProxyToShow(t *testing.T) {
	w := newWorkshop(t)
	w.lbctl("up", w.scenario("l4.yaml", "name: plain\nservers: 1\nservices:\n  web: {plane: l4}\n"))
	for _, verb := range []string{"scoreboard", "reload"} {
		if _, errOut, code := w.try("l7", verb); code != 4 || !strings.Contains(errOut, "lab plain has no proxy") {
			t.Errorf("l7 %s: exit %d, %s", verb, code, errOut)
		}
	}
	if out := w.lbctl("l7", "models"); !strings.Contains(out, "lab plain has no proxy") {
		t.Errorf("l7 models:\n%s", out)
	}
}
