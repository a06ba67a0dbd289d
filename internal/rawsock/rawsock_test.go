package rawsock

import (
	"bytes"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWhatIsSentIsReceived(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[1])
	if errno := Peek(ends[1]); errno != unix.EAGAIN {
		t.Errorf("a look at nothing: %v", errno)
	}
	b := make([]byte, 100)
	if n, errno := Receive(ends[1], b); n != 0 || errno != unix.EAGAIN {
		t.Errorf("of nothing %d bytes came, %v", n, errno)
	}
	if n, errno := Send(ends[0], []byte("one "), 0); n != 4 || errno != 0 {
		t.Errorf("sent %d bytes of 4, %v", n, errno)
	}
	var v Vector
	for _, piece := range []string{"two ", "", "three"} {
		if !v.Add([]byte(piece)) {
			t.Errorf("no room for %q", piece)
		}
	}
	if n, errno := v.Send(ends[0], 0); n != v.Bytes || n != 9 || errno != 0 {
		t.Errorf("sent %d bytes of %d, %v", n, v.Bytes, errno)
	}
	if errno := Peek(ends[1]); errno != 0 {
		t.Errorf("a look at something: %v", errno)
	}
	if n, errno := Receive(ends[1], b); string(b[:n]) != "one two three" || errno != 0 {
		t.Errorf("%q came, %v", b[:n], errno)
	}
	unix.Close(ends[0])
	if n, errno := Receive(ends[1], b); n != 0 || errno != 0 {
		t.Errorf("at the end %d bytes came, %v", n, errno)
	}
	if n, errno := Send(ends[1], b, 0); n != 0 || errno != unix.EPIPE {
		t.Errorf("to nobody %d bytes were sent, %v", n, errno)
	}
}

func TestAVectorHasRoomForSixtyFourPieces(t *testing.T) {
	var v Vector
	n := 0
	for v.Add(bytes.Repeat([]byte("x"), n+1)) {
		n++
	}
	if v.Reset(); n != 64 || !v.Add([]byte("x")) || v.Bytes != 1 {
		t.Errorf("room for %d, and %d bytes in an emptied one", n, v.Bytes)
	}
}

func TestAwaitSleepsUntilSomethingComesOrPatiencePasses(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	if errno := SetPatience(ends[1], 20*time.Millisecond); errno != 0 {
		t.Fatal(errno)
	}
	b, began := make([]byte, 10), time.Now()
	if n, errno := Await(ends[1], b); n != 0 || errno != unix.EAGAIN || time.Since(began) < 10*time.Millisecond {
		t.Errorf("of nothing %d bytes came after %v, %v", n, time.Since(began), errno)
	}
	if n, errno := Receive(ends[1], b); n != 0 || errno != unix.EAGAIN {
		t.Errorf("without waiting %d bytes came, %v", n, errno)
	}
	SetPatience(ends[1], 5*time.Second)
	go func() {
		time.Sleep(10 * time.Millisecond)
		Send(ends[0], []byte("hello"), 0)
	}()
	if n, errno := Await(ends[1], b); string(b[:n]) != "hello" || errno != 0 {
		t.Errorf("%q came, %v", b[:n], errno)
	}
	began = time.Now()
	if errno := Block(ends[1], false); errno != 0 {
		t.Error(errno)
	}
	if _, errno := Await(ends[1], b); errno != unix.EAGAIN || time.Since(began) > time.Second {
		t.Errorf("in non-blocking mode it took %v, %v", time.Since(began), errno)
	}
	Block(ends[1], true)
	if flags, err := unix.FcntlInt(uintptr(ends[1]), unix.F_GETFL, 0); flags&unix.O_NONBLOCK != 0 || err != nil {
		t.Errorf("it does not block again: %v", err)
	}
}

func TestAcceptTellsThePeer(t *testing.T) {
	for at, ip := range map[string]string{"127.0.0.1": "127.0.0.1", "::1": "::1", "::": "127.0.0.1"} {
		ln, err := net.Listen("tcp", net.JoinHostPort(at, "0"))
		if err != nil {
			t.Logf("this machine has no %s: %v", ip, err)
			continue
		}
		defer ln.Close()
		raw, err := ln.(*net.TCPListener).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(listener uintptr) {
			if fd, _, errno := Accept(int(listener), unix.SOCK_CLOEXEC); fd != -1 || errno != unix.EAGAIN {
				t.Errorf("%s: of nobody %d came, %v", ip, fd, errno)
			}
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			c, err := net.Dial("tcp", net.JoinHostPort(ip, port))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fd, peer, errno := Accept(int(listener), unix.SOCK_CLOEXEC)
			if errno != 0 || peer.String() != c.LocalAddr().String() {
				t.Errorf("%s came, want %s: %v", peer, c.LocalAddr(), errno)
			}
			unix.Close(fd)
		})
	}
}

func TestPiecesComeInOrderHoweverManyBytesTheyAre(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	got := make([]byte, 2*small)
	for _, size := range []int{1, small - 1, small, small + 1} {
		a, b := bytes.Repeat([]byte("a"), size/2), bytes.Repeat([]byte("b"), size-size/2)
		var v Vector
		v.Add(a)
		v.Add(b)
		sent, errno := v.Send(ends[0], 0)
		n, _ := Receive(ends[1], got)
		if sent != size || errno != 0 || string(got[:n]) != string(a)+string(b) {
			t.Errorf("of %d bytes %d were sent, %v, and %d came", size, sent, errno, n)
		}
	}
}
