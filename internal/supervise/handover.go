package supervise

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// inheritVariable tells a new master which descriptors it has from the old one:
// "ready=3,127.0.0.1:80=4,127.0.0.1:81=5".
const inheritVariable = "LBCTL_INHERIT"

// readyByte begins what a new master says when it is ready; anything else is the
// reason why it never will be.
const readyByte = 0

// Inheritance is what a new master has from the old one.
type Inheritance struct {
	Listeners   *Listeners
	Predecessor *Predecessor // who started this process; nil: no master
	ready       *os.File     // nil: there is no old one
}

// Inherit takes over what the master that started this process has handed down;
// nothing, if none has. The variable is taken out of the environment. Everything
// handed down that is no listening socket at its address is an error.
func Inherit() (*Inheritance, error) {
	value := os.Getenv(inheritVariable)
	_ = os.Unsetenv(inheritVariable)
	in := &Inheritance{Listeners: NewListeners()}
	if value == "" {
		return in, nil
	}
	for _, item := range strings.Split(value, ",") {
		if err := in.take(item); err != nil {
			_ = in.Refuse(err)
			in.Listeners.Close()
			return nil, fmt.Errorf("inherit %q: %w", item, err)
		}
	}
	if in.ready == nil {
		in.Listeners.Close()
		return nil, fmt.Errorf("inherit %q: nobody to tell", value)
	}
	in.Predecessor = &Predecessor{os.Getppid()}
	return in, nil
}

func (in *Inheritance) take(item string) error {
	name, number, _ := strings.Cut(item, "=")
	fd, err := strconv.Atoi(number)
	if err != nil || fd <= 2 {
		return errors.New("want NAME=DESCRIPTOR")
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return err
	}
	if name == "ready" {
		in.ready = os.NewFile(uintptr(fd), name)
		return nil
	}
	addr, err := netip.ParseAddrPort(name)
	if err != nil {
		return err
	}
	if in.Listeners.sockets[addr] != nil {
		return errors.New("the address is there twice")
	}
	at, err := listensAt(fd)
	if err == nil && at != addr {
		err = fmt.Errorf("it listens at %s", at)
	}
	if err != nil {
		return err
	}
	f, err := unpolled(fd, name)
	if err != nil {
		return err
	}
	in.Listeners.sockets[addr] = f
	return nil
}

// Ready tells the old master that this one serves; it finishes then.
func (in *Inheritance) Ready() error { return in.tell([]byte{readyByte}) }

// Refuse tells the old master why this one will not serve; it goes on then.
func (in *Inheritance) Refuse(reason error) error { return in.tell([]byte(reason.Error())) }

// tell speaks once.
func (in *Inheritance) tell(words []byte) error {
	if in.ready == nil {
		return nil
	}
	_, err := in.ready.Write(words)
	err = errors.Join(err, in.ready.Close())
	in.ready = nil
	if err != nil {
		return fmt.Errorf("tell the old master: %w", err)
	}
	return nil
}

// hear waits for what the new master says.
func hear(r io.Reader) error {
	words, err := io.ReadAll(io.LimitReader(r, 4096))
	switch {
	case len(words) == 0 && err != nil:
		return err
	case len(words) == 0:
		return io.ErrUnexpectedEOF
	case words[0] != readyByte:
		return errors.New(string(words))
	}
	return nil
}

// handDown lists the sockets for a process that gets them from descriptor first
// on.
func (l *Listeners) handDown(first int) (list string, files []*os.File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var items []string
	for addr, f := range l.sockets {
		items = append(items, fmt.Sprintf("%s=%d", addr, first+len(files)))
		files = append(files, f)
	}
	return strings.Join(items, ","), files
}
