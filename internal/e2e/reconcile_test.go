package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"lbctl/ctl"
	"lbctl/internal/lab"
)

const twoPlanes = `
name: edit
servers: 3
services:
  web-l4:
    plane: l4
    policy: wrr
    backends: [{node: s1, weight: %d}, s2, s3]
  web-l7:
    plane: l7
`

func TestSecondUpIsNoChangeAndAnEditedWeightIsOne(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("edit.yaml", fmt.Sprintf(twoPlanes, 1))
	w.lbctl("up", file)
	l := w.open("edit")
	conns := map[string]*talk{"l4": l.dial(t, "web-l4"), "l7": l.dial(t, "web-l7")}

	if out := w.lbctl("up", file); !strings.Contains(out, "0 changes") {
		t.Errorf("the second up did something:\n%s", out)
	}
	w.scenario("edit.yaml", fmt.Sprintf(twoPlanes, 5))
	if out := w.lbctl("up", file); !strings.Contains(out, "1 change ") || !strings.Contains(out, "weight 1 -> 5") {
		t.Errorf("an edited weight is not one change:\n%s", out)
	}
	for plane, c := range conns {
		c.ask(t, plane+": after the weight was edited")
	}
	svc, _ := l.status(t).Service("web-l4")
	if b, _ := svc.Backend("s1"); b.Weight != 5 {
		t.Errorf("weight of s1 is %d after the edit", b.Weight)
	}
}

func TestAnEditChangesOnlyWhatDiffers(t *testing.T) {
	w := newWorkshop(t)
	file := w.scenario("grow.yaml", "name: grow\nservers: 2\nservices:\n  web: {plane: l4}\n")
	w.lbctl("up", file)
	l := w.open("grow")
	c := l.dial(t, "web")
	server := c.ask(t, "at first")
	w.scenario("grow.yaml", "name: grow\nservers: 3\nservices:\n  web: {plane: l4}\n")
	w.lbctl("up", file)
	if now := c.ask(t, "after a server was added"); now != server {
		t.Errorf("the connection moved from %s to %s", server, now)
	}
	l = w.open("grow")
	seen := map[string]bool{}
	for range 200 {
		seen[l.dial(t, "web").ask(t, "new connection")] = true
	}
	if len(seen) != 3 {
		t.Errorf("200 new connections met %v, want all three servers", seen)
	}
	w.scenario("grow.yaml", "name: grow\nservers: 1\nservices:\n  web: {plane: l4}\n")
	w.lbctl("up", file)
	for range 20 {
		if s := w.open("grow").dial(t, "web").ask(t, "after servers were removed"); s != "s1" {
			t.Errorf("answer of %s, which is gone", s)
		}
	}
}

// openLab is a lab that is up, seen from the test.
type openLab struct {
	*lab.Lab
	client *ctl.Client
}

func (w *workshop) open(name string) *openLab {
	w.t.Helper()
	l, err := lab.Open(lab.Options{Dir: w.run, Self: binary}, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return &openLab{l, ctl.Dial(l.Path("daemon.sock"))}
}

func (l *openLab) status(t *testing.T) ctl.Status {
	t.Helper()
	st, err := l.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func (l *openLab) service(t *testing.T, name string) ctl.ServiceStatus {
	t.Helper()
	svc, ok := l.status(t).Service(name)
	if !ok {
		t.Fatalf("no service %s", name)
	}
	return svc
}

// talk is a client's connection that asks one request after the other.
type talk struct {
	conn net.Conn
	host netip.AddrPort
}

func (l *openLab) dial(t *testing.T, service string) *talk {
	t.Helper()
	return l.dialTo(t, service, l.service(t, service).Target())
}

func (l *openLab) dialTo(t *testing.T, what string, addr netip.AddrPort) *talk {
	t.Helper()
	node, err := l.Node("c1")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	conn, err := node.DialContext(t.Context(), "tcp", addr.String())
	if err != nil {
		t.Fatalf("dial %s at %v: %v", what, addr, err)
	}
	t.Cleanup(func() { conn.Close() })
	return &talk{conn, addr}
}

// ask sends one request and returns the server that answered it.
func (c *talk) ask(t *testing.T, when string) (server string) {
	t.Helper()
	c.conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintf(c.conn, "GET / HTTP/1.1\r\nHost: %v\r\n\r\n", c.host); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	server, err := readAnswer(c.conn)
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	return server
}
