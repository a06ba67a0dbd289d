package supervise

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// pair returns a link's master end and the file for the child.
func pair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	child := os.NewFile(uintptr(fds[1]), "link")
	conn, err := connOf(os.NewFile(uintptr(fds[0]), "link"))
	if err != nil {
		child.Close()
		return nil, nil, err
	}
	return conn, child, nil
}

// connOf turns a file into a connection and closes the file.
func connOf(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("use link: %w", err)
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("use link: it is %T, no unix socket", c)
	}
	return conn, nil
}
