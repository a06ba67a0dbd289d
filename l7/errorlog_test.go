package l7

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// nonsense has the proxy refuse what is no request.
func nonsense(t *testing.T, s *lb.Service) {
	t.Helper()
	c := rawDial(t, s.VIP.Addr)
	if _, err := io.WriteString(c, "no request\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Fatalf("%q, %v", answer, err)
	}
	c.Close() // or its worker would wait for it to do so
}

func TestWhatClientsDoWrongIsInTheErrorLogAtLevelDebug(t *testing.T) {
	shape := few(Event)
	shape.LogLevel = "debug"
	_, p, s := proxyOf(t, shape, nil)
	path := p.options.LogFile
	said := func(n int) {
		t.Helper()
		nonsense(t, s)
		eventually(t, 10*time.Second, func() error {
			text, err := os.ReadFile(path)
			if lines := strings.Count(string(text), "level=DEBUG msg=bad_request"); err != nil || lines != n {
				return fmt.Errorf("%d bad requests are logged, want %d: %v", lines, n, err)
			}
			return nil
		})
	}
	said(1)
	if err := syscall.Kill(p.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		if w := report(t, p); len(w.Processes) != 1 || w.Processes[0].Generation != 2 {
			return fmt.Errorf("not reloaded: %+v", w.Processes)
		}
		return nil
	})
	said(2)
	before := p.PID()
	if err := syscall.Kill(before, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func() error {
		if now := p.PID(); now == 0 || now == before || lives(before) {
			return fmt.Errorf("master %d after %d", now, before)
		}
		return nil
	})
	said(3)
}

func TestWhatClientsDoWrongIsNotInTheErrorLogUnlessAskedFor(t *testing.T) {
	_, p, s := proxyOf(t, few(Event), nil)
	nonsense(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	path := p.options.LogFile
	p.Close()
	if err := Quit(ctx, p.options.Socket); err != nil { // then all that was to be said is
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), "bad_request") || !strings.Contains(string(text), "level=INFO") {
		t.Errorf("%v, %s", err, text)
	}
}
