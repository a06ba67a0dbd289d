package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// runProgram carries out the lines of a file, in order:
//
//	ipvsadm ARGS                 a command; neighbours share one ipvsadm -R
//	packet FLAGS PROTO SRC DST   a packet into tun0
//	run COMMAND                  a command without quoting
//	sleep DURATION
//	settle                       wait until what expires within 3 s has expired
//	print NAME                   a section: connections and backends
func runProgram(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	tun, err := openTun("tun0")
	if err != nil {
		return err
	}
	defer unix.Close(tun)
	var pending bytes.Buffer
	for line := range strings.Lines(string(text)) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if verb == "ipvsadm" {
			fmt.Fprintln(&pending, rest)
			continue
		}
		if err := restore(&pending); err != nil {
			return err
		}
		if err := step(tun, verb, rest); err != nil {
			return fmt.Errorf("%s %s: %w", verb, rest, err)
		}
	}
	return restore(&pending)
}

func step(tun int, verb, rest string) error {
	fields := strings.Fields(rest)
	switch verb {
	case "packet":
		src, err := netip.ParseAddrPort(fields[2])
		if err != nil {
			return err
		}
		dst, err := netip.ParseAddrPort(fields[3])
		if err != nil {
			return err
		}
		_, err = unix.Write(tun, packet(fields[0], fields[1], src, dst, 0))
		return err
	case "run":
		out, err := exec.Command(fields[0], fields[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	case "sleep":
		d, err := time.ParseDuration(rest)
		time.Sleep(d)
		return err
	case "settle":
		return settle()
	case "print":
		return printTables(rest)
	default:
		return errors.New("unknown verb")
	}
}

// restore gives the pending commands to one ipvsadm. It exits with 0 whatever a
// line did, so its complaints are what tells.
func restore(pending *bytes.Buffer) error {
	if pending.Len() == 0 {
		return nil
	}
	lines := pending.String()
	cmd := exec.Command("ipvsadm", "-R")
	cmd.Stdin = strings.NewReader(lines)
	out, err := cmd.CombinedOutput()
	pending.Reset()
	if err != nil || len(out) > 0 {
		return fmt.Errorf("ipvsadm -R: %w: %s\n%s", err, out, lines)
	}
	return nil
}

func settle() error {
	for range 300 {
		conns, err := connections()
		if err != nil {
			return err
		}
		soon := 0
		for _, c := range conns {
			if c.expires <= 3 {
				soon++
			}
		}
		if soon == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("connections do not expire")
}

type connection struct {
	src, dst netip.AddrPort
	to       netip.Addr
	expires  int
}

// connections reads /proc/net/ip_vs_conn: protocol, three hexadecimal addresses
// and ports, state, seconds.
func connections() ([]connection, error) {
	text, err := os.ReadFile("/proc/net/ip_vs_conn")
	if err != nil {
		return nil, err
	}
	var found []connection
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		f := strings.Fields(line)
		if i == 0 || len(f) < 9 {
			continue
		}
		expires, err := strconv.Atoi(f[8])
		if err != nil {
			return nil, err
		}
		found = append(found, connection{
			src: netip.AddrPortFrom(address(f[1]), port(f[2])),
			dst: netip.AddrPortFrom(address(f[3]), port(f[4])),
			to:  address(f[5]), expires: expires,
		})
	}
	return found, nil
}

// address parses 0A010001 and fd00:0001:….
func address(text string) netip.Addr {
	if a, err := netip.ParseAddr(text); err == nil {
		return a
	}
	v, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

func port(text string) uint16 {
	v, _ := strconv.ParseUint(text, 16, 16) // not a port: 0, which no test uses
	return uint16(v)
}

// printTables prints "conn SRC DST BACKEND" for each connection, and services and
// backends in the kernel's own order, by netlink: /proc/net/ip_vs loses fwmark
// services when its text passes a page there (seen on 6.1.192).
func printTables(name string) error {
	conns, err := connections()
	if err != nil {
		return err
	}
	services, err := listServices()
	if err != nil {
		return err
	}
	fmt.Printf("@@ begin %s\n", name)
	for _, c := range conns {
		fmt.Println("conn", c.src, c.dst, c.to)
	}
	fmt.Printf("%s@@ end\n", services)
	return nil
}

// listServices lists until it gets the same twice: other namespaces' transcripts
// add services meanwhile, see job.sh.
func listServices() ([]byte, error) {
	var last []byte
	for range 20 {
		services, err := exec.Command("ipvsadm", "-Ln", "--nosort").Output()
		if err != nil {
			return nil, fmt.Errorf("list services: %w", err)
		}
		if bytes.Equal(services, last) {
			return services, nil
		}
		last = services
	}
	return nil, errors.New("list services: never the same twice")
}
