package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/netns"
)

// listenPatience is how long a server has until it listens.
const listenPatience = 20 * time.Second

// start runs the server in its node and returns once it listens.
func (b *builder) start(ctx context.Context, node string, p serverProcess) error {
	log, err := os.OpenFile(b.dir.log(node), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start server %s: %w", p.name, err)
	}
	defer log.Close()
	cmd := exec.Command(b.options.Self, p.args()...)
	cmd.Dir = "/" // hold no other file system busy
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // outlives this process and its terminal
	ns := b.spaces[node].ns
	if err := ns.Start(cmd); err != nil {
		return fmt.Errorf("start server %s: %w", p.name, err)
	}
	exited := make(chan struct{})
	go func() { // or it would stay a zombie while this process lives
		_ = cmd.Wait()
		close(exited)
	}()
	err = p.awaitListen(ctx, ns, exited)
	if errors.Is(err, errEnded) {
		// A killed Up may have started one at the last moment, which was not
		// yet to be seen and then had the port first.
		if other, _ := p.find(ns); other != 0 {
			return b.adopt(ctx, node, p, other)
		}
	}
	if err != nil {
		return fmt.Errorf("start server %s: %w; its log is %s%s", p.name, err, log.Name(), lastLine(log.Name()))
	}
	return nil
}

// adopt waits until a server that a killed Up has started listens. If it ends
// instead, the next look finds it missing.
func (b *builder) adopt(ctx context.Context, node string, p serverProcess, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("adopt server %s: %w", p.name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	exited, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for ctx.Err() == nil {
			if waitExit([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10*time.Millisecond) {
				close(exited)
				return
			}
		}
	}()
	err = p.awaitListen(ctx, b.spaces[node].ns, exited)
	cancel()
	<-watched
	_ = unix.Close(fd)
	if err != nil && !errors.Is(err, errEnded) {
		return fmt.Errorf("adopt server %s: %w", p.name, err)
	}
	return nil
}

// find returns the process that runs this server in a namespace, or 0.
func (p serverProcess) find(ns *netns.Handle) (int, error) {
	pids, err := netns.Processes(map[uint64]bool{ns.Inode(): true})
	for _, pid := range pids {
		if isServer(pid, p.key()) {
			return pid, nil
		}
	}
	return 0, err
}

func isServer(pid int, key string) bool {
	args := commandLine(pid)
	return len(args) > 1 && strings.Join(args[1:], " ") == key
}

var errEnded = errors.New("it ended before it listened")

// awaitListen waits until the server listens everywhere. The error is errEnded
// if exited is closed first.
func (p serverProcess) awaitListen(ctx context.Context, ns *netns.Handle, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, listenPatience)
	defer cancel()
	for _, addr := range p.listen {
		if err := awaitListen(ctx, ns, addr, exited); err != nil {
			return err
		}
	}
	return nil
}

// awaitListen connects until somebody answers.
func awaitListen(ctx context.Context, ns *netns.Handle, addr netip.AddrPort, exited <-chan struct{}) error {
	if addr.Addr().IsUnspecified() {
		local := netip.IPv6Loopback()
		if addr.Addr().Is4() {
			local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		addr = netip.AddrPortFrom(local, addr.Port())
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		conn, err := ns.DialContext(ctx, "tcp", addr.String())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-exited:
			return fmt.Errorf("%w on %s", errEnded, addr)
		case <-ctx.Done():
			return fmt.Errorf("wait until it listens on %s: %w", addr, errors.Join(ctx.Err(), err))
		case <-time.After(wait):
		}
	}
}

// lastLine is what a server said last, for an error message.
func lastLine(path string) string {
	data, err := os.ReadFile(path)
	text := strings.TrimSpace(string(data))
	if err != nil || text == "" {
		return ""
	}
	return ": " + text[strings.LastIndexByte(text, '\n')+1:]
}

// stop ends server processes of a node; each is held against its command line
// once more, because process ids are reused.
func stop(pids []int, key string) error {
	_, err := end(pids, func(pid int) bool { return isServer(pid, key) })
	return err
}
