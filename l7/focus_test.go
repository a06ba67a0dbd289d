package l7

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
	"lbctl/internal/proxy"
)

// quickest is the least time that f takes of several.
func quickest(n int, f func()) (least time.Duration) {
	for i := range n {
		began := time.Now()
		f()
		if took := time.Since(began); i == 0 || took < least {
			least = took
		}
	}
	return least
}

func TestAClientThatGoesIsNoticedWhileItsBackendIsSlow(t *testing.T) {
	began, ended := make(chan bool, 1), make(chan bool, 1)
	l := newLab(t)
	l.backend(func(_ http.ResponseWriter, r *http.Request) {
		began <- true
		<-r.Context().Done()
		ended <- true
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	c := rawDial(t, s.VIP.Addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-began
	c.Close()
	select {
	case <-ended:
	case <-time.After(500 * time.Millisecond):
		t.Error("after half a second its request is still under way")
	}
}

// An answer that never pauses leaves no time in which the client would be listened to.
func TestAClientThatEndsIsNoticedWhileAnAnswerStreams(t *testing.T) {
	ended := make(chan bool, 1)
	l := newLab(t)
	l.backend(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			io.WriteString(w, "more")
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond)
		}
		ended <- true
	})
	s := l.service("web", lb.RoundRobin)
	l.apply()
	c := rawDial(t, s.VIP.Addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, c)
	c.(*net.TCPConn).CloseWrite()
	select {
	case <-ended:
	case <-time.After(500 * time.Millisecond):
		t.Error("after half a second its request is still under way")
	}
}

func TestADeadlineShorterThanTheFocusIsKept(t *testing.T) {
	t.Setenv(modelVariable, string(Threads))
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	s.HTTP.ClientIdleTimeout = 4 * time.Millisecond
	l.apply()
	took := quickest(20, func() {
		c := rawDial(t, s.VIP.Addr)
		in := bufio.NewReader(c)
		if err := ask(c, in, "/"); err != nil {
			t.Fatal(err)
		}
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("a client that says no more reads %v", err)
		}
	})
	if took < 4*time.Millisecond || took > focus/2 {
		t.Errorf("a client that says no more is closed after %v", took)
	}
}

func TestThreadsHearTheirBellsWhileTheyServe(t *testing.T) {
	t.Setenv(modelVariable, string(Threads))
	l := newLab(t)
	l.backend(func(http.ResponseWriter, *http.Request) { time.Sleep(focus / 2) })
	s := l.service("web", lb.RoundRobin)
	l.apply()
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for range testShape().Threads {
		c := rawDial(t, s.VIP.Addr)
		clients.Go(func() {
			for in := bufio.NewReader(c); ; {
				select {
				case <-stop:
					return
				default:
				}
				if err := ask(c, in, "/"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	time.Sleep(2 * focus)
	took := quickest(5, func() { l.engine.each(func(runner, *proxy.Core) {}) })
	close(stop)
	clients.Wait()
	if took > 5*focus {
		t.Errorf("%d threads have heard of something after %v", testShape().Threads, took)
	}
}

// splice(2) has no other way not to wait than the mode of the descriptor.
func TestASlowClientOfALargeAnswerHoldsNoThread(t *testing.T) {
	t.Setenv(modelVariable, string(Threads))
	l := newLab(t)
	l.backend(largeAnswers(randomBytes(20 << 20)))
	s := l.service("web", lb.RoundRobin)
	l.apply()
	c := rawDial(t, s.VIP.Addr)
	in := bufio.NewReader(c)
	if err := ask(c, in, "/100000"); err != nil { // the next one is spliced from its beginning
		t.Fatal(err)
	}
	io.WriteString(c, fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", 20<<20))
	time.Sleep(5 * focus)
	heard := make(chan bool)
	go func() {
		l.engine.each(func(runner, *proxy.Core) {})
		close(heard)
	}()
	select {
	case <-heard:
	case <-time.After(time.Second):
		t.Error("a thread hears nothing while its client does not read")
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != 20<<20 || err != nil {
		t.Errorf("%d bytes came, %v", n, err)
	}
}

// A thread that waited for one side alone would hear the other one late each time.
func TestATunnelWaitsForNeitherSideAlone(t *testing.T) {
	t.Setenv(modelVariable, string(Threads))
	l := newLab(t)
	l.backend(serveWebSocket)
	s := l.service("web", lb.RoundRobin)
	l.apply()
	c := rawDial(t, s.VIP.Addr)
	in := bufio.NewReader(c)
	io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n")
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("%+v, %v", resp, err)
	}
	took := quickest(20, func() {
		c.Write(appendFrame(nil, opText, 7, []byte("echo")))
		if _, payload, err := readFrame(in); err != nil || string(payload) != "echo" {
			t.Errorf("%q came back, %v", payload, err)
		}
	})
	if took > focus/2 {
		t.Errorf("an echo takes %v", took)
	}
}

// A large answer is spliced from its backend, and to its client, from the second one on.
func TestWhatIsSplicedDoesNotBlockAndOtherSocketsDo(t *testing.T) {
	t.Setenv(modelVariable, string(Threads))
	l := newLab(t)
	l.backend(largeAnswers(randomBytes(100_000)))
	s := l.service("web", lb.RoundRobin)
	l.apply()
	c := rawDial(t, s.VIP.Addr)
	in := bufio.NewReader(c)
	for i, answer := range []struct {
		path            string
		client, backend bool // block
	}{{"/10", true, true}, {"/100000", false, false}, {"/10", false, true}} {
		if !answer.backend { // of the first large one nothing need be left to splice
			if err := ask(c, in, answer.path); err != nil {
				t.Fatal(err)
			}
		}
		if err := ask(c, in, answer.path); err != nil {
			t.Fatal(err)
		}
		l.engine.each(func(r runner, _ *proxy.Core) {
			th := r.(*thread)
			for _, s := range th.sockets {
				want := answer.backend
				if s == th.client {
					want = answer.client
				}
				flags, err := unix.FcntlInt(uintptr(s.fd), unix.F_GETFL, 0)
				if blocks := flags&unix.O_NONBLOCK == 0; err != nil || s.blocks != want || blocks != want {
					t.Errorf("answer %d: a socket blocks: %t, its descriptor: %t, want %t; %v", i, s.blocks, blocks, want, err)
				}
			}
		})
	}
}
