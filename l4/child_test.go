package l4

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
	"lbctl/internal/netns"
)

// The test binary runs itself again as servers and client, because one process
// may not have files enough for both ends of 10,000 connections. Such a child
// ends when its standard input does, so it outlives no killed test.
const role = "LBCTL_L4_TEST_ROLE"

// at names the endpoint that a child serves or dials, as network and address.
const at = "LBCTL_L4_TEST_AT"

func endpoint() (network, addr string) {
	network, addr, _ = strings.Cut(os.Getenv(at), " ")
	return network, addr
}

// childMain runs what the test binary is re-executed for, if it was.
func childMain() (code int, ours bool) {
	name := os.Getenv(role)
	if name == "" {
		return 0, false
	}
	limit := unix.Rlimit{}
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	if err == nil {
		limit.Cur = limit.Max
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	if err == nil {
		if name == "client" {
			err = clientMain()
		} else {
			err = serverMain(name)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "l4 test", name+":", err)
		return 1, true
	}
	return 0, true
}

// serverMain sends its name's one byte on every connection, then echoes.
func serverMain(name string) error {
	network, addr := endpoint()
	var err error
	if network == string(lb.UDP) {
		err = serveDatagrams(name, addr)
	} else {
		err = serveStreams(name, addr)
	}
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func serveStreams(name, addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := conn.Write([]byte(name)); err == nil {
					_, _ = io.Copy(conn, conn)
				}
			}()
		}
	}()
	return nil
}

// serveDatagrams echoes datagrams; an empty one it answers with its name.
func serveDatagrams(name, addr string) error {
	socket, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			answer := buffer[:n]
			if n == 0 {
				answer = []byte(name)
			}
			_, _ = socket.WriteTo(answer, from)
		}
	}()
	return nil
}

// order is what the test tells its client; report is the answer.
type order struct {
	Open int // connections to make
	Echo int // bytes to send and to get back on every connection there is
}

type report struct {
	Live   map[string]int // connections by server, of those just opened or that echoed every byte
	Broken map[string]int // by server; "" if none was reached
	Resent int            // datagrams of these that nobody answered at first
	Error  string         // the last one
	Took   time.Duration
}

// clientMain keeps connections and obeys orders.
func clientMain() error {
	var conns []*conn
	orders := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			return nil
		}
		begin := time.Now()
		t := tally{report: report{Live: map[string]int{}, Broken: map[string]int{}}}
		if o.Open > 0 {
			opened := t.each(make([]*conn, o.Open), func(*conn) (*conn, error) { return open() })
			conns = append(conns, opened...)
		} else {
			conns = t.each(conns, func(c *conn) (*conn, error) { return c, c.echo(o.Echo) })
		}
		t.Took = time.Since(begin)
		if err := json.NewEncoder(os.Stdout).Encode(t.report); err != nil {
			return err
		}
	}
}

type conn struct {
	net.Conn
	server string
	resent int
}

// patience is how long the client waits for an answer, or more of one: long enough for a SYN to
// be sent three times. After this many waits in vain it tries no more.
const (
	patience = 5 * time.Second
	tooMany  = 128
)

func open() (*conn, error) {
	network, addr := endpoint()
	c, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		return &conn{}, err
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return &conn{}, err
	}
	if network == string(lb.UDP) {
		if _, err := c.Write(nil); err != nil {
			return &conn{}, err
		}
	}
	name := make([]byte, 1)
	_, err = io.ReadFull(c, name)
	return &conn{Conn: c, server: string(name)}, err
}

// resendAfter is when a datagram is sent again that nobody has answered.
const resendAfter = time.Second

// exchange sends all of it in datagrams, each when the one before it has come
// back, and each as long as the way is found to take without fragments.
func (c *conn) exchange(all []byte) error {
	got := make([]byte, 1<<16)
	for tries := 1; len(all) > 0; {
		full, err := c.room()
		if err != nil {
			return err
		}
		if err := c.SetDeadline(time.Now().Add(resendAfter)); err != nil {
			return err
		}
		chunk := all[:min(full, len(all))]
		n := 0
		if _, err = c.Write(chunk); err == nil {
			n, err = c.Read(got)
		}
		if errors.Is(err, unix.EMSGSIZE) {
			continue // now the kernel knows better
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Duration(tries)*resendAfter < patience {
			tries++
			c.resent++
			continue
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(got[:n], chunk) {
			return fmt.Errorf("a datagram of %d bytes came back changed", len(chunk))
		}
		all, tries = all[len(chunk):], 1
	}
	return nil
}

// room is how long a datagram may be, by what the kernel has found out so far;
// none is fragmented (ip(7), ipv6(7)).
func (c *conn) room() (room int, err error) {
	raw, err := c.Conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	level, discover, mtu, headers := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_MTU, 20+8
	if c.RemoteAddr().(*net.UDPAddr).IP.To4() == nil {
		level, discover, mtu, headers = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_MTU, 40+8
	}
	controlled := raw.Control(func(fd uintptr) {
		if err = unix.SetsockoptInt(int(fd), level, discover, unix.IP_PMTUDISC_DO); err == nil {
			room, err = unix.GetsockoptInt(int(fd), level, mtu)
		}
	})
	return room - headers, errors.Join(controlled, err)
}

var serial atomic.Uint64

// echo sends n bytes that no other connection sends and compares what comes back.
func (c *conn) echo(n int) error {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64(nil, serial.Add(1)))
	sent := bytes.Repeat(seed[:], n/len(seed)+1)[:n]
	if c.LocalAddr().Network() == string(lb.UDP) {
		return c.exchange(sent)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		written <- err
	}()
	got := make([]byte, n)
	if _, err := io.ReadFull(patient{c}, got); err != nil {
		return err
	}
	if !bytes.Equal(got, sent) {
		return fmt.Errorf("%d bytes came back changed", n)
	}
	return <-written
}

// patient waits as long for more as for the first of it, and lets be written meanwhile.
type patient struct{ *conn }

func (p patient) Read(b []byte) (int, error) {
	if err := p.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return p.conn.Read(b)
}

type tally struct {
	sync.Mutex
	report
	late atomic.Int32 // waits in vain
}

// each works on 64 connections at a time and returns those that live.
func (t *tally) each(conns []*conn, f func(*conn) (*conn, error)) []*conn {
	var live []*conn
	var workers sync.WaitGroup
	queue := make(chan *conn)
	for range 64 {
		workers.Go(func() {
			for c := range queue {
				if t.late.Load() >= tooMany {
					continue
				}
				c, err := f(c)
				t.Lock()
				if err != nil {
					if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
						t.late.Add(1)
					}
					t.Broken[c.server]++
					t.Error = err.Error()
					if c.Conn != nil {
						c.Close()
					}
				} else {
					t.Live[c.server]++
					t.Resent += c.resent
					live = append(live, c)
				}
				t.Unlock()
			}
		})
	}
	for _, c := range conns {
		queue <- c
	}
	close(queue)
	workers.Wait()
	return live
}

// child is a started child and the pipes to it.
type child struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// start runs the test binary in a role inside a namespace until the test ends.
func (w *wires) start(ns *netns.Handle, name string, proto lb.Protocol, addr netip.AddrPort) *child {
	w.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), role+"="+name, at+"="+string(proto)+" "+addr.String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	ok(w, err)
	out, err := cmd.StdoutPipe()
	ok(w, err)
	ok(w, ns.Start(cmd))
	w.Cleanup(func() {
		ok(w, in.Close())
		ok(w, cmd.Wait())
	})
	return &child{in, bufio.NewReader(out)}
}

// startServers starts servers that have the kind's VIP.
func (w *wires) startServers(k kind) {
	w.Helper()
	for i, ns := range w.servers {
		w.awaitReady(w.start(ns, fmt.Sprint(i+1), k.proto, k.vip()))
	}
}

func (w *wires) awaitReady(c *child) {
	w.Helper()
	line, err := c.out.ReadString('\n')
	ok(w, err)
	if line != "ready\n" {
		w.Fatalf("a server says %q", line)
	}
}

func (w *wires) startClient(k kind) *child { return w.start(w.client, "client", k.proto, k.vip()) }

func (w *wires) order(c *child, o order) report {
	w.Helper()
	ok(w, json.NewEncoder(c.in).Encode(o))
	line, err := c.out.ReadBytes('\n')
	ok(w, err)
	var r report
	ok(w, json.Unmarshal(line, &r))
	return r
}
