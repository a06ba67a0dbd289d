package l7

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/scoreboard"
)

// metered is a client's connection that counts what goes over it.
type metered struct {
	net.Conn
	read, written uint64
}

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.read += uint64(n)
	return n, err
}

func (m *metered) Write(b []byte) (int, error) {
	n, err := m.Conn.Write(b)
	m.written += uint64(n)
	return n, err
}

// burst sends n requests at once, each with a body of 10 bytes, and reads their answers.
func burst(c net.Conn, in *bufio.Reader, n int) error {
	const request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789"
	if _, err := io.WriteString(c, strings.Repeat(request, n)); err != nil {
		return err
	}
	for range n {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
	}
	return nil
}

// few is a shape of a model with one process, of two threads where there can be two.
func few(m Model) Shape {
	s := Shape{Model: m, Start: 1, Processes: 1, MinSpare: 1, MaxSpare: 100}
	switch m {
	case Loop:
		s = Shape{Model: m, Processes: 1}
	case Threads, Event:
		s.Threads = 2
	}
	return s
}

// report asks for what the workers do.
func report(t testing.TB, p *Plane) Workers {
	t.Helper()
	w, err := p.Workers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestTheReportHasWhatClientsSentAndGot(t *testing.T) {
	for _, m := range Models {
		t.Run(string(m), func(t *testing.T) {
			_, p, s := proxyOf(t, few(m), func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(w, io.LimitReader(r.Body, 10))
				_, _ = io.WriteString(w, strings.Repeat("y", 5000))
			})
			c := &metered{Conn: rawDial(t, s.VIP.Addr)}
			in := bufio.NewReader(c)
			if err := burst(c, in, 50); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, "no request\r\n\r\n"); err != nil { // is answered as well
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, in); err != nil {
				t.Fatal(err)
			}
			want := scoreboard.Served{Requests: 51, BytesIn: c.written, BytesOut: c.read}
			eventually(t, 10*time.Second, func() error { // the client may have its answer before that is counted
				w := report(t, p)
				var threads scoreboard.Served
				for _, thread := range w.Processes[0].Threads {
					threads = threads.Add(thread.Served)
				}
				if w.Served != want || w.Processes[0].Served != want || threads != want {
					return fmt.Errorf("served %+v, of the process %+v, of its threads %+v, want %+v", w.Served, w.Processes[0].Served, threads, want)
				}
				return nil
			})
			if err := syscall.Kill(report(t, p).Processes[0].PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, 10*time.Second, func() error {
				w := report(t, p)
				if w.Died != 1 || len(w.Processes) != 1 {
					return errors.New("the worker was not replaced")
				}
				if w.Served != want || w.Processes[0].Served != (scoreboard.Served{}) || w.Started < 2 {
					t.Errorf("served %+v, want %+v; its successor %+v; started %d", w.Served, want, w.Processes[0].Served, w.Started)
				}
				return nil
			})
		})
	}
}

func TestTheReportHasTheKernelsCPUTimeAlsoOfProcessesThatRest(t *testing.T) {
	const ticks = 20 * time.Millisecond // /proc is right to one of user time and one of system time
	for _, m := range Models {
		t.Run(string(m), func(t *testing.T) {
			_, p, s := proxyOf(t, few(m), nil)
			c := rawDial(t, s.VIP.Addr)
			in := bufio.NewReader(c)
			pid := report(t, p).Processes[0].PID
			for cpuOf(t, pid) < 200*time.Millisecond {
				if err := burst(c, in, 100); err != nil {
					t.Fatal(err)
				}
			}
			before := cpuOf(t, pid)
			w := report(t, p)
			after, master := cpuOf(t, pid), cpuOf(t, p.PID())
			if cpu := w.Processes[0].CPU; cpu < before-ticks || cpu > after+ticks || w.CPU < cpu {
				t.Errorf("CPU %s, of all workers %s, want %s to %s", cpu, w.CPU, before, after)
			}
			if w.MasterCPU <= 0 || w.MasterCPU > master+ticks {
				t.Errorf("CPU of the master %s, want at most %s", w.MasterCPU, master)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, 10*time.Second, func() error {
				now := report(t, p)
				if now.CPU < w.CPU {
					t.Errorf("CPU %s after a death, before it %s", now.CPU, w.CPU)
				}
				if now.Died != 1 || len(now.Processes) != 1 || now.Processes[0].PID == pid {
					return errors.New("the worker was not replaced")
				}
				return nil
			})
		})
	}
}
