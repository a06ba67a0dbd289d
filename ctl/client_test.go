package ctl

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A daemon that is stopped still has its socket, and the kernel accepts for it.
func TestADaemonThatDoesNotAnswerIsAnErrorNotAWait(t *testing.T) {
	socket := filepath.Join(shortDir(t), "daemon.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := Dial(socket)
	defer client.Close()
	client.patience = 50 * time.Millisecond
	ask := map[string]func(context.Context) error{
		"status":    func(ctx context.Context) error { _, err := client.Status(ctx); return err },
		"config":    func(ctx context.Context) error { _, _, err := client.Config(ctx); return err },
		"configure": func(ctx context.Context) error { _, err := client.Configure(ctx, testConfig(1)); return err },
		"wait": func(ctx context.Context) error {
			_, err := client.Wait(ctx, WaitRequest{Timeout: 50 * time.Millisecond})
			return err
		},
		"past events": func(ctx context.Context) error { _, err := client.PastEvents(ctx, 0); return err },
	}
	for name, f := range ask {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := f(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within") || ctx.Err() != context.Canceled {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a status that the caller gave up: %v", err)
	}
}
