package supervise

import (
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Listeners are the sockets that a master keeps open for its children, by
// address. An address has either one socket, which all children share, or one
// per seat (SO_REUSEPORT), among which the kernel spreads connections. Children
// of several generations with the same seat hold the same socket, so what waits
// in its queue is the successor's. Their methods are safe for concurrent use.
type Listeners struct {
	mu      sync.Mutex
	sockets map[netip.AddrPort][]*os.File // by seat
}

// NewListeners returns none.
func NewListeners() *Listeners {
	return &Listeners{sockets: map[netip.AddrPort][]*os.File{}}
}

// Open opens what is missing of so many sockets at each address, all or none. A
// seat's socket gets its share of connections from then on, so every seat must
// soon have a child; where the number of children varies, they share one. Port 0 is any free port: see Sockets.
func (l *Listeners) Open(addrs []netip.AddrPort, seats int) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	opened := map[netip.AddrPort][]*os.File{}
	defer func() {
		for addr, files := range opened {
			if err != nil {
				closeAll(files)
				continue
			}
			l.sockets[addr] = append(l.sockets[addr], files...)
		}
	}()
	for _, addr := range addrs {
		addr = unmap(addr)
		files := append(slices.Clone(l.sockets[addr]), opened[addr]...)
		for len(files) < seats {
			f, at, err := another(addr, files)
			if err != nil {
				return err
			}
			addr, files = at, append(files, f)
			opened[at] = append(opened[at], f)
		}
	}
	return nil
}

// another opens a socket beside those that an address has, and returns the
// address it has got.
func another(addr netip.AddrPort, files []*os.File) (*os.File, netip.AddrPort, error) {
	var more []option
	if len(files) > 0 {
		more = append(more, group)
		if err := unix.SetsockoptInt(int(files[0].Fd()), group.level, group.name, group.value); err != nil {
			return nil, addr, os.NewSyscallError("setsockopt SO_REUSEPORT", err)
		}
	}
	f, err := listen(addr, more...)
	if err != nil {
		return nil, addr, err
	}
	at, err := listensAt(int(f.Fd()))
	if err != nil {
		f.Close()
		return nil, addr, err
	}
	return f, at, nil
}

// Retain closes in this process all but so many sockets at each of these
// addresses. Connections that wait at a socket that no child holds are reset.
func (l *Listeners) Retain(addrs []netip.AddrPort, seats int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := map[netip.AddrPort]bool{}
	for _, addr := range addrs {
		wanted[unmap(addr)] = true
	}
	for addr, files := range l.sockets {
		if !wanted[addr] {
			closeAll(files)
			delete(l.sockets, addr)
		} else if len(files) > seats {
			closeAll(files[seats:])
			l.sockets[addr] = files[:seats:seats]
		}
	}
}

// Socket is a listening socket and its address.
type Socket struct {
	Addr netip.AddrPort
	File *os.File // the Listeners'
}

// Sockets returns a seat's socket at each address, in order of addresses.
func (l *Listeners) Sockets(seat int) []Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	sockets := make([]Socket, 0, len(l.sockets))
	for _, addr := range slices.SortedFunc(maps.Keys(l.sockets), netip.AddrPort.Compare) {
		files := l.sockets[addr]
		sockets = append(sockets, Socket{addr, files[seat%len(files)]})
	}
	return sockets
}

// Close closes all of them in this process.
func (l *Listeners) Close() { l.Retain(nil, 0) }

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// closeAll closes files; nil is none.
func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
