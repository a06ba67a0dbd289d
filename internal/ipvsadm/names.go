package ipvsadm

import (
	"bufio"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// Hosts looks names and addresses up. ipvsadm asks for IPv4 addresses only.
type Hosts interface {
	Addr(name string) (netip.Addr, bool)
	Name(addr netip.Addr) (string, bool)
}

// Names are what a command line and a listing without -n need. The zero value
// knows none.
type Names struct {
	Hosts Hosts
	Ports Ports
}

// Ports are the names of a services file, as in /etc/services.
type Ports struct {
	byName map[portName]uint16
	byPort map[portNumber]string
}

type portName struct{ name, proto string }

type portNumber struct {
	port  uint16
	proto string
}

// ReadPorts reads a services file. The first line that names a port or gives a
// name counts; what it cannot read it skips, as the C library does.
func ReadPorts(r io.Reader) (Ports, error) {
	p := Ports{map[portName]uint16{}, map[portNumber]string{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) < 2 {
			continue
		}
		digits, proto, _ := strings.Cut(words[1], "/")
		port, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			continue
		}
		if _, known := p.byPort[portNumber{uint16(port), proto}]; !known {
			p.byPort[portNumber{uint16(port), proto}] = words[0]
		}
		for _, name := range append(words[2:], words[0]) {
			if _, known := p.byName[portName{name, proto}]; !known {
				p.byName[portName{name, proto}] = uint16(port)
			}
		}
	}
	return p, lines.Err()
}

func (n Names) port(name string, proto Proto) (uint16, bool) {
	port, ok := n.Ports.byName[portName{name, strings.ToLower(proto.String())}]
	return port, ok
}

func (n Names) host(name string) (netip.Addr, bool) {
	if n.Hosts == nil || name == "" {
		return netip.Addr{}, false
	}
	addr, ok := n.Hosts.Addr(name)
	return addr, ok && addr.Is4()
}

// longestName is what ipvsadm has room for.
const longestName = 59

// text writes an address and a port: in numbers, or in names where there are any.
func (n Names) text(addr netip.AddrPort, proto Proto, numeric bool) string {
	host, port := addr.Addr().String(), strconv.Itoa(int(addr.Port()))
	if !numeric {
		if n.Hosts != nil {
			if name, ok := n.Hosts.Name(addr.Addr()); ok {
				host = name
			}
		}
		if name, ok := n.Ports.byPort[portNumber{addr.Port(), strings.ToLower(proto.String())}]; ok {
			port = name
		}
	}
	if !addr.Addr().Is4() {
		host = "[" + host + "]"
	}
	return cut(host+":"+port, longestName)
}

func cut(s string, n int) string { return s[:min(len(s), n)] }
