package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// How long StartDaemon waits unless its context is shorter, and how often it looks.
const (
	startTimeout = 15 * time.Second
	startPoll    = 20 * time.Millisecond
)

// StartDaemon makes a daemon run as c says and returns a client of it.
// started is false if it ran already, with the same config and the same binary;
// a daemon that differs in either is replaced, which forwarding does not notice.
// start forks the process: netns.Handle.Start of the lab's hub. If c.API is
// set, the address is listened on here, in the caller's network namespace, and inherited.
func StartDaemon(ctx context.Context, c DaemonConfig, start func(*exec.Cmd) error) (client *Client, started bool, err error) {
	if err := c.Validate(); err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client = Dial(c.socket())
	if v, err := client.Version(ctx); err == nil {
		if runsAs(c, v) {
			return client, false, nil
		}
		if err := replace(ctx, c, client); err != nil {
			return nil, false, err
		}
	}
	if err := writeFileAtomic(c.file(), c.encode()); err != nil {
		return nil, false, fmt.Errorf("write daemon config: %w", err)
	}
	exited, err := fork(ctx, c, start)
	if err != nil {
		return nil, false, fmt.Errorf("start daemon of lab %s: %w", c.Lab, err)
	}
	if err := answers(ctx, client, exited); err != nil {
		return nil, false, fmt.Errorf("start daemon of lab %s: %w%s", c.Lab, err, logTail(c.log()))
	}
	return client, true, nil
}

// runsAs reports whether the daemon that answered v is the one that c asks for.
func runsAs(c DaemonConfig, v Version) bool {
	written, err := os.ReadFile(c.file())
	if err != nil || !bytes.Equal(written, c.encode()) {
		return false
	}
	// The link leads to the very file that runs, even after a rebuild has replaced it.
	running, err := os.Stat("/proc/" + strconv.Itoa(v.PID) + "/exe")
	if err != nil {
		return false
	}
	self, err := os.Stat(c.Self)
	return err == nil && os.SameFile(running, self)
}

// StopDaemon ends a lab's daemon, if one runs, and waits until it has ended.
// Forwarding goes on.
func StopDaemon(ctx context.Context, c DaemonConfig) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client := Dial(c.socket())
	defer client.Close()
	if _, err := client.Version(ctx); err != nil {
		return nil
	}
	return replace(ctx, c, client)
}

// replace ends the daemon that answers and waits until its lock is free.
func replace(ctx context.Context, c DaemonConfig, client *Client) error {
	if err := client.Shutdown(ctx); err != nil {
		return fmt.Errorf("end the daemon that runs with another config: %w", err)
	}
	for {
		unlock, err := lockFile(c.lock())
		if err == nil {
			unlock()
			return nil
		}
		if !errors.Is(err, errLocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the old daemon to end: %w", ctx.Err())
		case <-time.After(startPoll):
		}
	}
}

// fork starts the process, detached; exited yields how it ended, if it does.
func fork(ctx context.Context, c DaemonConfig, start func(*exec.Cmd) error) (exited <-chan error, err error) {
	log, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.Self, "daemon", "--config", c.file()) // not CommandContext: it outlives the caller
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.API != "" {
		listener, err := apiListener(ctx, c.API)
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		cmd.ExtraFiles = []*os.File{listener} // becomes apiFD
		cmd.Env = append(os.Environ(), apiFDEnv+"="+strconv.Itoa(apiFD))
	}
	if err := start(cmd); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }() // reaps it, should it die before the caller does
	return done, nil
}

func apiListener(ctx context.Context, addr string) (*os.File, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("publish API: %w", err)
	}
	defer l.Close()
	return l.(*net.TCPListener).File()
}

func answers(ctx context.Context, client *Client, exited <-chan error) error {
	for {
		_, err := client.Version(ctx)
		if err == nil {
			return nil
		}
		select {
		case state := <-exited:
			return fmt.Errorf("it ended at once (%v)", exitText(state))
		case <-ctx.Done():
			return err
		case <-time.After(startPoll):
		}
	}
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// logTail returns the end of a log to put behind an error; empty if there is none.
func logTail(path string) string {
	const tail = 2048
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tail {
		_, _ = f.Seek(-tail, io.SeekEnd)
	}
	data, err := io.ReadAll(io.LimitReader(f, tail))
	if err != nil || len(data) == 0 {
		return ""
	}
	return "\nthe end of " + path + ":\n" + string(bytes.TrimSpace(data))
}
