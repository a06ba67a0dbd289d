package l7

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestAProxyThatIsQuitAnswersWhatIsInFlightAndIsGone(t *testing.T) {
	if os.Getenv(modelVariable) != "" || os.Getenv(kindVariable) != "" {
		t.Skip("it is about the master")
	}
	l := newLab(t)
	handler, arrived, release := holding()
	l.backend(handler)
	s := l.service("web", lb.RoundRobin)
	o := planeOptions(t)
	p := openPlane(t, o)
	l.applyTo(p)
	held := l.hold(s)
	<-arrived
	pid := p.PID()
	p.Close()
	time.AfterFunc(200*time.Millisecond, func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := Quit(ctx, o.Socket); err != nil {
		t.Error(err)
	}
	if err := <-held; err != nil {
		t.Error(err)
	}
	eventually(t, 2*time.Second, func() error {
		if lives(pid) {
			return fmt.Errorf("process %d is there still", pid)
		}
		return nil
	})
	if err := Quit(ctx, o.Socket); err != nil {
		t.Errorf("where nobody answers: %v", err)
	}
}

// diary is a log that can be read while it is written.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(b)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

func TestAProxyThatIsQuitOrUpgradedIsNotSaidToHaveDied(t *testing.T) {
	if os.Getenv(modelVariable) != "" || os.Getenv(kindVariable) != "" {
		t.Skip("it is about the master")
	}
	l := newLab(t)
	l.backend(nil)
	l.service("web", lb.RoundRobin)
	said := &diary{}
	o := planeOptions(t)
	o.Shape, o.Log = few(Loop), slog.New(slog.NewTextHandler(said, nil))
	p := openPlane(t, o)
	defer endProxy(t, p)
	l.applyTo(p)
	for _, c := range []struct {
		signal syscall.Signal
		want   string
	}{
		{syscall.SIGUSR2, `level=INFO msg="l7 proxy has handed over to another" pid=%d`},
		{syscall.SIGQUIT, `level=INFO msg="l7 proxy has ended as it was told to" pid=%d`},
		{syscall.SIGTERM, `level=INFO msg="l7 proxy has ended as it was told to" pid=%d`},
		{syscall.SIGKILL, `level=WARN msg="l7 proxy died" pid=%d`},
	} {
		pid, restarts := p.PID(), strings.Count(said.String(), "l7 proxy forwards again")
		if err := syscall.Kill(pid, c.signal); err != nil {
			t.Fatal(err)
		}
		eventually(t, 30*time.Second, func() error {
			text := said.String()
			if !strings.Contains(text, fmt.Sprintf(c.want, pid)) || strings.Count(text, "l7 proxy forwards again") != restarts+1 {
				return fmt.Errorf("%s: want "+c.want+" and a restart in\n%s", c.signal, pid, text)
			}
			return nil
		})
		if warned := strings.Contains(said.String(), "level=WARN"); warned != (c.signal == syscall.SIGKILL) {
			t.Errorf("%s: %s", c.signal, said)
		}
	}
}

func TestQuitWaitsForADoorThatIsAboutToCloseWithoutHaste(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "l7.sock")
	door, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	proxy := exec.Command("/bin/sleep", "60")
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	defer proxy.Wait()
	defer proxy.Process.Kill()
	const open = 500 * time.Millisecond
	began, asked := time.Now(), 0
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			c, err := door.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(c))
			if asked++; asked == 1 { // later ones it hangs up on
				info, _ := json.Marshal(processInfo{PID: proxy.Process.Pid})
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(info), info)
			}
			c.Close()
		}
	}()
	time.AfterFunc(open, func() { door.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := Quit(ctx, socket); err != nil {
		t.Error(err)
	}
	<-gone
	if most := int(time.Since(began)/pollInterval) + 2; asked < 2 || asked > most {
		t.Errorf("it was asked %d times, want no more than %d", asked, most)
	}
}
