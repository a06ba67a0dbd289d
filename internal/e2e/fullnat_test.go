package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Under full NAT servers see the balancer, and are told of the client.
func TestServersAreToldOfTheClientUnderFullNAT(t *testing.T) {
	w := newWorkshop(t)
	scenario, err := filepath.Abs("../../scenarios/fullnat.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w.lbctl("up", scenario)
	l := w.open("fullnat")
	for service, replaced := range map[string]bool{"fullnat": true, "nat": false} {
		for range 6 {
			c := l.dial(t, service)
			c.conn.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err := fmt.Fprintf(c.conn, "GET /echo HTTP/1.1\r\nHost: %v\r\nConnection: close\r\n\r\n", c.host); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			seen, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			client := c.conn.LocalAddr().String()
			if told, want := answer.Header.Get("X-Client-TOA"), map[bool]string{true: client}[replaced]; told != want {
				t.Errorf("%s: the server was told of %q, want %q", service, told, want)
			}
			if local := strings.Contains(string(seen), `"remote": "198.18.2.2`); local != replaced {
				t.Errorf("%s: the server sees\n%s", service, seen)
			}
		}
	}
}
