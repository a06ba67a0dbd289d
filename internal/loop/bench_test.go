package loop

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pinger sends a piece and awaits its echo, over and over, until n have come.
type pinger struct {
	piece []byte
	left  int
	fresh bool // a new connection for each
	done  chan bool
	again func()
}

func (p *pinger) Connected(c *Conn) { c.Write(p.piece) }

func (p *pinger) Data(c *Conn, b []byte) {
	n := c.User.(*int)
	if *n += len(b); *n < len(p.piece) {
		return
	}
	*n = 0
	c.Deadline(time.Minute)
	if p.left--; p.left == 0 {
		close(p.done)
	}
	if p.fresh {
		c.Close()
		p.again()
	} else {
		c.Write(p.piece)
	}
}

func (p *pinger) EOF(c *Conn)         { c.Close() }
func (p *pinger) Drained(*Conn)       {}
func (p *pinger) Expired(*Conn)       {}
func (p *pinger) Closed(*Conn, error) {}

// ping does n round trips with pieces of a size over conns connections.
func ping(l *Loop, addr netip.AddrPort, conns, size, n int, fresh bool) *pinger {
	p := &pinger{piece: pattern(size), left: n, fresh: fresh, done: make(chan bool)}
	var counts []*int
	p.again = func() {
		if p.left >= conns {
			c := l.Connect(addr, p)
			c.User = counts[0]
			counts = append(counts[1:], counts[0])
		}
	}
	on(l, func() {
		for range conns {
			counts = append(counts, new(int))
		}
		for _, n := range counts {
			l.Connect(addr, p).User = n
		}
	})
	return p
}

// threadCPU returns what the loop's thread has spent.
func threadCPU(l *Loop) (d time.Duration, s Stats) {
	on(l, func() {
		var u unix.Rusage
		_ = unix.Getrusage(unix.RUSAGE_THREAD, &u)
		d, s = time.Duration(u.Utime.Nano()+u.Stime.Nano()), l.Stats()
	})
	return d, s
}

// plainEcho is an echo that does not look back.
type plainEcho struct{}

func (plainEcho) Connected(*Conn)        {}
func (plainEcho) Data(c *Conn, b []byte) { c.Write(b); c.Deadline(time.Minute) }
func (plainEcho) EOF(c *Conn)            { c.Close() }
func (plainEcho) Drained(*Conn)          {}
func (plainEcho) Expired(*Conn)          {}
func (plainEcho) Closed(*Conn, error)    {}

// BenchmarkEcho reports what a round trip costs the thread of either loop.
func BenchmarkEcho(b *testing.B) {
	for _, c := range []struct {
		name        string
		size, conns int
		fresh       bool
	}{
		{"100B", 100, 64, false},
		{"100B-1000conns", 100, 1000, false},
		{"64KiB", 64 << 10, 64, false},
		{"connection", 100, 64, true},
	} {
		for _, k := range []Kind{Epoll, URing} {
			b.Run(fmt.Sprintf("%s/%s", c.name, k), func(b *testing.B) {
				if k == URing {
					needURing(b)
				}
				server, client := start(b, k), start(b, k)
				addr := serve(b, server, plainEcho{})
				cpu, s := threadCPU(server)
				cpuC, sC := threadCPU(client)
				b.ResetTimer()
				<-ping(client, addr, c.conns, c.size, max(b.N, 2*c.conns), c.fresh).done
				b.StopTimer()
				n := float64(max(b.N, 2*c.conns))
				cpu2, s2 := threadCPU(server)
				cpuC2, sC2 := threadCPU(client)
				b.ReportMetric(float64(cpu2-cpu)/n, "server-ns/op")
				b.ReportMetric(float64(cpuC2-cpuC)/n, "client-ns/op")
				b.ReportMetric(float64(s2.Syscalls-s.Syscalls)/n, "server-syscalls/op")
				b.ReportMetric(float64(sC2.Syscalls-sC.Syscalls)/n, "client-syscalls/op")
				b.ReportMetric(float64(s2.Events-s.Events)/n, "server-events/op")
			})
		}
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

func TestNothingIsAllocatedInSteadyState(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		for _, c := range []struct {
			name  string
			size  int
			fresh bool
		}{
			{"small pieces", 100, false},
			{"large pieces", 300 << 10, false},
			{"connections", 100, true},
		} {
			t.Run(c.name, func(t *testing.T) {
				l := start(t, k)
				addr := serve(t, l, echo())
				const n = 2000
				p := ping(l, addr, 32, c.size, 2*n, c.fresh)
				left := func() (left int) { on(l, func() { left = p.left }); return left }
				settles(t, "the loop is warm", func() bool { return left() <= n })
				var from uint64
				var begun int
				on(l, func() { from, begun = mallocs(), p.left })
				within(t, p.done, "the last round trip")
				var to uint64
				on(l, func() { to = mallocs() })
				if per := float64(to-from) / float64(begun); per > 0.05 {
					t.Errorf("%.3f allocations per round trip", per)
				}
			})
		}
	})
}

func TestAnIdleConnectionIsSmall(t *testing.T) {
	eachKind(t, func(t *testing.T, k Kind) {
		l := start(t, k)
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		const n = 2000
		h := echo()
		fds := make([][2]int, n)
		for i := range fds {
			fd, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			fds[i] = fd
		}
		before := heap()
		on(l, func() {
			for _, fd := range fds {
				if c, err := l.Adopt(fd[0], h); err != nil {
					t.Error(err)
				} else {
					c.Deadline(time.Minute)
				}
			}
		})
		var b [8]byte
		for _, fd := range fds { // each has been in use
			_, _ = unix.Write(fd[1], []byte("hello"))
			if n, err := unix.Read(fd[1], b[:]); n != 5 || err != nil {
				t.Fatal(n, err)
			}
		}
		per := (int64(heap()) - int64(before)) / n
		t.Logf("%d bytes per idle connection", per)
		if per > 512 {
			t.Errorf("an idle connection takes %d bytes", per)
		}
		for _, fd := range fds {
			unix.Close(fd[1])
		}
	})
}
