// Package systemd tells the service manager how a service does: the protocol
// of sd_notify(3), by datagrams of lines NAME=VALUE, and of sd_watchdog_enabled(3).
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Notifier speaks to the service manager. A nil Notifier has nobody to speak
// to, and says so to nobody.
type Notifier struct {
	conn     *net.UnixConn
	watchdog time.Duration
}

// FromEnvironment returns the Notifier of a process that a service manager has
// started, nil for any other. It takes the variables out of the environment,
// because they are not for processes that this one may start.
func FromEnvironment() (*Notifier, error) {
	socket := take("NOTIFY_SOCKET")
	usec, pid := take("WATCHDOG_USEC"), take("WATCHDOG_PID")
	if socket == "" {
		return nil, nil
	}
	if socket[0] != '/' && socket[0] != '@' { // net takes the @ of the abstract namespace, too
		return nil, fmt.Errorf("use NOTIFY_SOCKET %q: want an absolute path or @name", socket)
	}
	n := &Notifier{}
	if usec != "" && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		v, err := strconv.ParseUint(usec, 10, 63)
		if err != nil || v == 0 || v > uint64(time.Duration(1<<63-1)/time.Microsecond) {
			return nil, fmt.Errorf("use WATCHDOG_USEC %q: want a number of microseconds", usec)
		}
		n.watchdog = time.Duration(v) * time.Microsecond
	}
	var err error
	n.conn, err = net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("reach the service manager: %w", err)
	}
	return n, nil
}

func take(name string) string {
	value := os.Getenv(name)
	_ = os.Unsetenv(name)
	return value
}

// Watchdog is the time within which the service manager wants to hear Alive, 0
// if it does not.
func (n *Notifier) Watchdog() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog
}

// Ready says that starting or reloading is over. status is a line for people.
func (n *Notifier) Ready(status string) error { return n.send("READY=1", statusLine(status)) }

// Reloading says that the configuration is being read anew, until Ready.
func (n *Notifier) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("read monotonic clock: %w", err)
	}
	// Type=notify-reload waits for this very moment, or a later one.
	return n.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

// Stopping says that the service is about to end.
func (n *Notifier) Stopping(status string) error { return n.send("STOPPING=1", statusLine(status)) }

// Status is a line for people.
func (n *Notifier) Status(status string) error { return n.send(statusLine(status)) }

// Alive keeps the watchdog quiet.
func (n *Notifier) Alive() error { return n.send("WATCHDOG=1") }

func statusLine(text string) string {
	text, _, _ = strings.Cut(text, "\n") // a second line would be another message
	return "STATUS=" + text
}

func (n *Notifier) send(lines ...string) error {
	if n == nil {
		return nil
	}
	if _, err := n.conn.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("tell the service manager %s: %w", lines[0], err)
	}
	return nil
}

// Close lets go of the socket.
func (n *Notifier) Close() error {
	if n == nil {
		return nil
	}
	if err := n.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the service manager's socket: %w", err)
	}
	return nil
}
