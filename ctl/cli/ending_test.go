package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/ctl"
	"lbctl/internal/lb"
)

func TestWhatIsSaidOfAnEnd(t *testing.T) {
	ctx := t.Context()
	interrupted := fmt.Errorf("ask daemon: %w", context.Canceled)
	pipe := &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
	socket := &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}
	for _, c := range []struct {
		err  error
		code int
		said string
	}{
		{nil, exitOK, ""},
		{errors.New("x"), exitFailed, "x"},
		{interrupted, exitInterrupted, ""},
		{codef(exitInterrupted, "drain: interrupted"), exitInterrupted, "drain: interrupted"},
		{errors.Join(pipe, nil), exitPipe, ""},
		{socket, exitFailed, socket.Error()},
		{withCode(exitInvalid, errSilent), exitInvalid, ""},
	} {
		code := exitCode(ctx, c.err)
		if said := message(code, c.err); code != c.code || said != c.said {
			t.Errorf("%v: exit %d, %q; want %d, %q", c.err, code, said, c.code, c.said)
		}
	}
}

func TestADrainIsOverWhenThePlaneSaysSoAndNotBefore(t *testing.T) {
	found := []member{{"web", "s1", lb.L4}}
	status := func(active uint64, admin lb.Admin, statsError string) ctl.Status {
		b := ctl.BackendStatus{Backend: lb.Backend{Name: "s1", Admin: admin}, Counters: lb.Counters{Active: active}}
		return ctl.Status{
			Planes:   []ctl.PlaneStatus{{Name: lb.L4, StatsError: statsError}, {Name: lb.L7}},
			Services: []ctl.ServiceStatus{{Name: "web", Plane: lb.L4, Backends: []ctl.BackendStatus{b}}},
		}
	}
	datagrams := func(inactive uint64) ctl.Status {
		st := status(0, lb.Draining, "")
		st.Services[0].VIP.Proto = lb.UDP
		st.Services[0].Backends[0].Counters.Inactive = inactive
		return st
	}
	for _, c := range []struct {
		name    string
		st      ctl.Status
		drained bool
		failed  bool
	}{
		{"flows are left", status(2, lb.Draining, ""), false, false},
		{"none is left", status(0, lb.Draining, ""), true, false},
		{"the plane cannot count", status(0, lb.Draining, "read counters: EIO"), false, false},
		{"somebody enabled it", status(2, lb.Enabled, ""), false, true},
		{"somebody disabled it", status(0, lb.Disabled, ""), true, false},
		{"the service is gone", ctl.Status{}, true, false},
		{"flows of datagrams are left", datagrams(3), false, false},
		{"no flow of datagrams is left", datagrams(0), true, false},
	} {
		drained, text, err := leftOf(c.st, found)
		if drained != c.drained || (err != nil) != c.failed {
			t.Errorf("%s: drained %t, %q, %v", c.name, drained, text, err)
		}
	}
}

func TestFollowEndsWithTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(path, []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	writer, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- follow(ctx, &out, f, 1, true) }()
	if _, err := writer.WriteString("last words\n"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || ctx.Err() != nil {
		t.Errorf("follow ended with %v, context: %v", err, ctx.Err())
	}
	if !strings.HasSuffix(out.String(), "last words\n") {
		t.Errorf("printed %q", out.String())
	}
}
