package supervise

import (
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
)

// Listeners are the sockets that a master keeps open for its children, one for each
// address, which all children share: what waits in its queue is for whoever serves next, of
// whatever generation. Their methods are safe for concurrent use.
type Listeners struct {
	mu      sync.Mutex
	sockets map[netip.AddrPort]*os.File
}

// NewListeners returns none.
func NewListeners() *Listeners {
	return &Listeners{sockets: map[netip.AddrPort]*os.File{}}
}

// Open opens the sockets of addresses that have none, all or none of them. Port 0 is any
// free port: see Sockets.
func (l *Listeners) Open(addrs []netip.AddrPort) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	opened := map[netip.AddrPort]*os.File{}
	for _, addr := range addrs {
		addr = unmap(addr)
		if l.sockets[addr] != nil || opened[addr] != nil {
			continue
		}
		f, at, err := open(addr)
		if err != nil {
			closeAll(slices.Collect(maps.Values(opened)))
			return err
		}
		opened[at] = f
	}
	maps.Copy(l.sockets, opened)
	return nil
}

// open opens a socket, and returns the address that it has got.
func open(addr netip.AddrPort) (*os.File, netip.AddrPort, error) {
	f, err := listen(addr)
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

// Retain closes in this process the sockets of all but these addresses. Connections that
// wait at a socket that no child holds are reset.
func (l *Listeners) Retain(addrs []netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wanted := map[netip.AddrPort]bool{}
	for _, addr := range addrs {
		wanted[unmap(addr)] = true
	}
	for addr, f := range l.sockets {
		if !wanted[addr] {
			f.Close()
			delete(l.sockets, addr)
		}
	}
}

// Socket is a listening socket and its address.
type Socket struct {
	Addr netip.AddrPort
	File *os.File // the Listeners'
}

// Sockets returns them, in order of addresses.
func (l *Listeners) Sockets() []Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	sockets := make([]Socket, 0, len(l.sockets))
	for _, addr := range slices.SortedFunc(maps.Keys(l.sockets), netip.AddrPort.Compare) {
		sockets = append(sockets, Socket{addr, l.sockets[addr]})
	}
	return sockets
}

// Close closes all of them in this process.
func (l *Listeners) Close() { l.Retain(nil) }

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// closeAll closes files; nil is none.
func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
