package l7

import (
	"context"
	"fmt"
	"os"
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
		if syscall.Kill(pid, 0) == nil {
			return fmt.Errorf("process %d is there still", pid)
		}
		return nil
	})
	if err := Quit(ctx, o.Socket); err != nil {
		t.Errorf("where nobody answers: %v", err)
	}
}
