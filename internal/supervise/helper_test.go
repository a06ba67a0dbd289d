package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test binary is also the processes under test, by this variable: a role and
// how it behaves, such as "child" or "child deaf".
const roleVariable = "LBCTL_SUPERVISE_TEST_ROLE"

func TestMain(m *testing.M) {
	role, how, _ := strings.Cut(os.Getenv(roleVariable), " ")
	switch role {
	case "child":
		os.Exit(runChild(how))
	case "master":
		os.Exit(runMaster(how))
	}
	os.Exit(m.Run())
}

// runChild answers each connection at the socket it has got with its parent's
// and its own process number.
func runChild(how string) int {
	if how == "crash" {
		return 3
	}
	master, err := Attach(func(_ context.Context, m Message) (any, error) { return m.Kind, nil }, 5*time.Second)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 4
	}
	ln, err := net.FileListener(os.NewFile(FirstFD, "listener"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 5
	}
	var serving sync.WaitGroup
	serving.Go(func() { acceptAll(ln, &serving) })
	if how == "deaf" {
		signal.Ignore(syscall.SIGTERM)
	}
	if how != "mute" {
		_ = master.Ready(context.Background())
	}
	if how == "deaf" {
		select {}
	}
	due, cancel := master.Finish(context.Background())
	defer cancel()
	if how == "busy" {
		<-due.Done()
	}
	ln.Close()
	serving.Wait()
	return 0
}

func acceptAll(ln net.Listener, serving *sync.WaitGroup) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		serving.Go(func() {
			fmt.Fprintf(c, "%d %d\n", os.Getppid(), os.Getpid())
			c.Close()
		})
	}
}

// runMaster is a master with two children at what it has inherited, or else at a
// port that it prints.
func runMaster(how string) int {
	in, err := Inherit()
	if err != nil {
		return 6
	}
	switch how {
	case "crash":
		return 3
	case "refuse":
		_ = in.Refuse(errors.New("no such configuration"))
		return 3
	}
	commands := Signals(context.Background())
	if len(in.Listeners.Sockets()) == 0 {
		if err := in.Listeners.Open([]netip.AddrPort{loopback}); err != nil {
			return 7
		}
		fmt.Println(in.Listeners.Sockets()[0].Addr)
	}
	s := New(configOf(in.Listeners, &accounts{}, func(Place) string { return "child" }))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Reload(ctx, 1, 2); err != nil {
		return 8
	}
	if how == "late" { // serves, but does not say so
		<-commands
		return 9
	}
	if err := in.Ready(); err != nil {
		return 10
	}
	if <-commands == CommandQuit {
		s.Quit(ctx, 5*time.Second)
	} else {
		s.Terminate()
	}
	return 0
}

func self(role string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// configOf is of children that do what how says, at the first address.
func configOf(l *Listeners, a Accounts, how func(Place) string) Config {
	return Config{
		Slots: 8,
		Command: func(p Place) (*exec.Cmd, error) {
			cmd := self(how(p))
			cmd.ExtraFiles = []*os.File{l.Sockets()[0].File}
			return cmd, nil
		},
		Accounts:     a,
		Handle:       func(context.Context, Place, Message) (any, error) { return nil, errors.New("unknown message") },
		DrainTimeout: 5 * time.Second, Grace: time.Second,
		Log: slog.New(slog.DiscardHandler),
	}
}
