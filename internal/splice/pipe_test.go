package splice

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestBytesGoThroughThePipeOrCanBeReadBack(t *testing.T) {
	var p Pipe
	if !p.Open() {
		t.Fatal("there is no pipe")
	}
	defer p.Close()
	var a, b [2]int
	for _, pair := range []*[2]int{&a, &b} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		*pair = fds
		defer unix.Close(fds[0])
		defer unix.Close(fds[1])
	}
	if n, errno := p.In(a[1], 10); n != 0 || errno != unix.EAGAIN {
		t.Errorf("of an empty socket %d bytes came, %v", n, errno)
	}
	unix.Write(a[0], []byte("hello, world"))
	if n, errno := p.In(a[1], 10); n != 10 || errno != 0 {
		t.Errorf("%d bytes of 10 went in, %v", n, errno)
	}
	if n, errno := p.Out(b[0], 5); n != 5 || errno != 0 {
		t.Errorf("%d bytes of 5 went out, %v", n, errno)
	}
	buf := make([]byte, 100)
	n, _ := unix.Read(b[1], buf)
	back := buf[n : n+p.Read(buf[n:])]
	rest, _ := unix.Read(a[1], buf[50:])
	if string(buf[:n]) != "hello" || string(back) != ", wor" || string(buf[50:50+rest]) != "ld" {
		t.Errorf("got %q, read back %q, and %q was left", buf[:n], back, buf[50:50+rest])
	}
	if p.Read(buf) != 0 {
		t.Error("the pipe is not empty")
	}
}

func TestAPipeThatIsRefusedIsNotTriedAgain(t *testing.T) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var p Pipe
	p.Open()
	if n, errno := p.In(fd, 10); n != 0 || errno != unix.EINVAL || p.Open() {
		t.Errorf("%d bytes, %v; open: %v", n, errno, p.Open())
	}
}
