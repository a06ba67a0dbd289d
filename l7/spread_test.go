package l7

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// twoOf is two processes of event with so many threads each.
func twoOf(threads int) Shape {
	return Shape{Model: Event, Threads: threads, Start: 2, Processes: 2, MinSpare: 1, MaxSpare: 1000}
}

// settle waits until listeners stand behind all threads.
func settle() { time.Sleep(3 * reportEvery) }

// clientsOf are those of each process.
func clientsOf(t *testing.T, p *Plane) (all []WorkerProcess) {
	w, err := p.Workers(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range w.Processes {
		if process.State == "serving" {
			all = append(all, process)
		}
	}
	return all
}

// arrive waits for so many requests at the backend.
func arrive(t *testing.T, arrived chan struct{}, n int) {
	t.Helper()
	for range n {
		select {
		case <-arrived:
		case <-time.After(10 * time.Second):
			t.Fatal("a request waits, though threads rest")
		}
	}
}

// held waits until so many connections hold no thread.
func held(t *testing.T, p *Plane, n int64) []WorkerProcess {
	t.Helper()
	var all []WorkerProcess
	eventually(t, 10*time.Second, func() error {
		sum := int64(0)
		all = clientsOf(t, p)
		for _, process := range all {
			sum += process.Held
		}
		if sum != n {
			return fmt.Errorf("%d connections are held, want %d", sum, n)
		}
		return nil
	})
	return all
}

func TestABurstOfClientsIsSpreadOverTheThreadsOfAllProcesses(t *testing.T) {
	const threads, clients = 8, 15
	handler, arrived, release := holding()
	l, p, s := proxyOf(t, twoOf(threads), handler)
	for range 5 {
		settle()
		var results []chan error
		for range clients {
			results = append(results, l.hold(s))
		}
		arrive(t, arrived, clients)
		for _, process := range clientsOf(t, p) {
			if n := process.Connections; n > threads+1 {
				t.Errorf("process %d has %d clients on %d threads, while threads of the other rest", process.Slot, n, threads)
			}
		}
		for range clients {
			release <- struct{}{}
		}
		for _, r := range results {
			if err := <-r; err != nil {
				t.Error(err)
			}
		}
		l.client.CloseIdleConnections()
	}
}

func TestAListenerAcceptsWhileAllThreadsAreBusyAndThreadsWhenOneRestsAgain(t *testing.T) {
	const threads = 2
	handler, arrived, release := holding()
	l, p, s := proxyOf(t, twoOf(threads), handler)
	s.HTTP.ClientHeadTimeout = 30 * time.Second
	l.applyTo(p)
	settle()
	var results []chan error
	for range 2 * threads {
		results = append(results, l.hold(s))
		arrive(t, arrived, 1)
	}
	const silent = 20
	for range silent {
		rawDial(t, s.VIP.Addr)
	}
	held(t, p, silent)
	last := rawDial(t, s.VIP.Addr)
	if _, err := io.WriteString(last, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	close(release) // all rest again
	began := time.Now()
	if _, err := bufio.NewReader(last).ReadByte(); err != nil || time.Since(began) > time.Second {
		t.Errorf("who waited for a thread was answered after %v, %v", time.Since(began), err)
	}
	for _, r := range results {
		if err := <-r; err != nil {
			t.Error(err)
		}
	}
	began = time.Now()
	c := rawDial(t, s.VIP.Addr)
	if err := ask(c, bufio.NewReader(c), "/"); err != nil || time.Since(began) > time.Second {
		t.Errorf("and the next one after %v, %v", time.Since(began), err)
	}
}

func TestThousandsOfIdleConnectionsAreAcceptedBesideBusyThreadsAndSpread(t *testing.T) {
	const clients = 2000
	handler, arrived, release := holding()
	l, p, s := proxyOf(t, twoOf(2), handler)
	s.HTTP.ClientHeadTimeout = 30 * time.Second
	l.applyTo(p)
	settle()
	var results []chan error
	for range 4 {
		results = append(results, l.hold(s))
		arrive(t, arrived, 1)
	}
	began := time.Now()
	for range clients {
		rawDial(t, s.VIP.Addr)
	}
	for _, process := range held(t, p, clients) {
		t.Logf("process %d holds %d of %d", process.Slot, process.Held, clients)
		if process.Held < clients/5 {
			t.Errorf("process %d holds %d of %d", process.Slot, process.Held, clients)
		}
	}
	t.Logf("they were accepted in %v", time.Since(began))
	close(release)
	for _, r := range results {
		if err := <-r; err != nil {
			t.Error(err)
		}
	}
}

func TestSilentConnectionsHoldNoThread(t *testing.T) {
	const clients = 500
	l, p, s := proxyOf(t, twoOf(2), nil)
	s.HTTP.ClientHeadTimeout = 3 * time.Second
	l.applyTo(p)
	var silent []net.Conn
	for range clients {
		silent = append(silent, rawDial(t, s.VIP.Addr))
	}
	for _, process := range held(t, p, clients) {
		t.Logf("process %d holds %d of %d", process.Slot, process.Held, clients)
		for i, thread := range process.Threads {
			if thread.State != "_" {
				t.Errorf("thread %d of process %d is at %s, want _", i, process.Slot, thread.State)
			}
		}
	}
	began := time.Now()
	if n, err := silent[0].Read(make([]byte, 1)); err != io.EOF || time.Since(began) > 5*time.Second {
		t.Errorf("who says nothing hears %d bytes, %v, after %v; want the end after 3 s", n, err, time.Since(began))
	}
}

// Who connects while a process dies is either reset, with it, or served at once by the other.
func TestNobodyWaitsWhenAProcessDies(t *testing.T) {
	l, p, s := proxyOf(t, twoOf(4), nil)
	l.applyTo(p)
	for range 5 {
		var clients sync.WaitGroup
		stop := make(chan struct{})
		for range 12 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					began := time.Now()
					if c, err := net.Dial("tcp", s.VIP.Addr.String()); err == nil {
						c.SetDeadline(time.Now().Add(10 * time.Second))
						_ = ask(c, bufio.NewReader(c), "/")
						c.Close()
					}
					if took := time.Since(began); took > 3*time.Second {
						t.Errorf("a client waited %v", took)
					}
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		before := clientsOf(t, p)
		_ = syscall.Kill(before[0].PID, syscall.SIGKILL)
		time.Sleep(400 * time.Millisecond)
		close(stop)
		clients.Wait()
		eventually(t, 10*time.Second, func() error {
			if n := len(clientsOf(t, p)); n != 2 {
				return fmt.Errorf("%d processes serve", n)
			}
			return nil
		})
	}
}

// A thread that was woken for a client at the desk, and has found one at a socket, wakes another.
func TestWhoWaitsAtTheDeskIsNotForgottenByAThreadThatHasFoundAnotherClient(t *testing.T) {
	d, _ := deskOf(t, 0)
	d.rest()
	d.rest()
	v, _ := visit(t, 0)
	d.put(v)
	woken := func() uint64 {
		var n [8]byte
		_, _ = unix.Read(d.fd, n[:])
		return uint64(n[0])
	}
	if n := woken(); n != 1 {
		t.Errorf("%d threads were woken, want 1", n)
	}
	if _, ok := d.rise(true); ok {
		t.Error("a thread has two clients")
	}
	if n := woken(); n != 1 {
		t.Errorf("%d threads were woken instead, want 1", n)
	}
	if got, ok := d.rise(false); !ok || got.fd != v.fd {
		t.Errorf("that one gets %+v, %t", got, ok)
	}
	unix.Close(v.fd)
}
