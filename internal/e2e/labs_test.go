package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLabsStandSideBySide(t *testing.T) {
	w := newWorkshop(t)
	links := linkNames(t)
	for _, name := range []string{"left", "right"} {
		w.lbctl("up", w.scenario(name+".yaml", "name: "+name+"\nservers: 1\nservices:\n  web: {plane: l4}\n"))
	}
	for _, name := range []string{"left", "right"} {
		w.open(name).dial(t, "web").ask(t, name)
	}
	if now := linkNames(t); now != links {
		t.Errorf("the host's namespace changed from %q to %q", links, now)
	}
	if _, errOut, code := w.try("status"); code != 2 || !strings.Contains(errOut, "--lab") {
		t.Errorf("status with two labs: exit %d, %q", code, errOut)
	}
	w.lbctl("down", "left")
	w.open("right").dial(t, "web").ask(t, "right, after left is down")
}

func linkNames(t *testing.T) string {
	t.Helper()
	dirs, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range dirs {
		names = append(names, d.Name())
	}
	return strings.Join(names, " ")
}

// Every scenario that ships comes up, answers, and goes away.
func TestShippedScenariosComeUp(t *testing.T) {
	files, err := filepath.Glob("../../scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			w := newWorkshop(t)
			path, err := filepath.Abs(f)
			if err != nil {
				t.Fatal(err)
			}
			before := footprint(t, w.run)
			began := time.Now()
			w.lbctl("up", path)
			up := time.Since(began)
			var labs []struct{ Name string }
			w.json(&labs, "list")
			l := w.open(labs[0].Name)
			for _, svc := range l.status(t).Services {
				if !svc.VIP.Addr.IsValid() { // only routes lead to it
					continue
				}
				l.dial(t, svc.Name).ask(t, svc.Name)
			}
			began = time.Now()
			w.lbctl("down")
			t.Logf("up in %v, down in %v", up.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
			mustLeaveNothing(t, before, w.run)
		})
	}
}

func TestDrainWaitsForWhatIsLeft(t *testing.T) {
	w := newWorkshop(t)
	w.lbctl("up", w.scenario("drain.yaml", "name: drain\nservers: 2\nservices:\n  web: {plane: l4, policy: rr}\n"))
	l := w.open("drain")
	conns := map[string]*talk{} // one to each server
	for range 2 {
		c := l.dial(t, "web")
		conns[c.ask(t, "before the drain")] = c
	}
	c := conns["s1"]
	if c == nil {
		t.Fatalf("round robin gave s1 nothing: %v", conns)
	}
	if out, errOut, code := w.try("drain", "web/s1", "--deadline", "1s"); code != 6 || !strings.Contains(errOut, "still") {
		t.Errorf("drain with a flow left: exit %d\n%s%s", code, out, errOut)
	}
	c.ask(t, "while draining")
	for range 10 {
		if s := l.dial(t, "web").ask(t, "new"); s == "s1" {
			t.Error("a draining backend got a new connection")
		}
	}
	done := make(chan int, 1)
	go func() {
		_, _, code := w.try("drain", "web/s1", "--deadline", "20s")
		done <- code
	}()
	c.conn.Close()
	if code := <-done; code != 0 {
		t.Errorf("drain after the clients left: exit %d", code)
	}
	w.lbctl("enable", "web/s1")
	eventually(t, 5*time.Second, "s1 takes new connections again", func() bool {
		return l.dial(t, "web").ask(t, "enabled again") == "s1"
	})
}
