package l7

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lbctl/internal/lb"
)

// planeOptions are for a proxy process that dies with the test, however it ends.
func planeOptions(t *testing.T) Options {
	dir, err := os.MkdirTemp("", "lbctl-l7-test")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Socket: filepath.Join(dir, "l7.sock"), LogFile: filepath.Join(dir, "l7.log"), Self: "/proc/self/exe", Log: quiet}
	o.Start = func(c *exec.Cmd) error {
		c.SysProcAttr.Pdeathsig = syscall.SIGKILL
		c.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
		return c.Start()
	}
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(o.LogFile)
			t.Logf("log of the proxy:\n%s", log)
		}
		os.RemoveAll(dir)
	})
	return o
}

func openPlane(t *testing.T, o Options) *Plane {
	t.Helper()
	p, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// endProxy lets go of the plane and ends its process.
func endProxy(t *testing.T, p *Plane) {
	pid := p.PID()
	p.Close()
	syscall.Kill(pid, syscall.SIGTERM)
	eventually(t, 5*time.Second, func() error {
		if lives(pid) {
			return fmt.Errorf("proxy %d ignores SIGTERM", pid)
		}
		return nil
	})
}

func (l *lab) applyTo(p *Plane) {
	l.Helper()
	if err := p.Apply(context.Background(), l.next()); err != nil {
		l.Fatal(err)
	}
}

func TestPlaneStartsAProxyAndTalksToIt(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	o := planeOptions(t)
	p := openPlane(t, o)
	defer endProxy(t, p)
	l.applyTo(p)
	l.shares(s, 5)
	st, err := p.Stats()
	if err != nil || st.Revision != 1 || len(st.Services) != 1 || st.Services[0].Counters.Requests != 5 {
		t.Errorf("stats %+v, %v", st, err)
	}
	info, err := os.Stat(o.Socket)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	if sid, _, _ := syscall.Syscall(syscall.SYS_GETSID, uintptr(p.PID()), 0, 0); int(sid) != p.PID() {
		t.Errorf("the proxy's session is %d, want its own, %d", sid, p.PID())
	}
	if err := Run(context.Background(), o.Socket, Shape{}, quiet); !errors.Is(err, ErrRunning) {
		t.Errorf("a second proxy on the socket: %v, want ErrRunning", err)
	}
	bad := l.next()
	bad.Services[0].VIP.Addr = withIP(s.VIP.Addr, "192.0.2.1")
	want := fmt.Sprintf("apply snapshot 2: service web: listen at %s: cannot assign requested address", bad.Services[0].VIP.Addr)
	if err := p.Apply(context.Background(), bad); err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
	l.shares(s, 1)
}

func TestAKilledProxyComesBackWithItsSnapshot(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	p := openPlane(t, planeOptions(t))
	defer endProxy(t, p)
	l.applyTo(p)
	for range 3 {
		pid := p.PID()
		syscall.Kill(pid, syscall.SIGKILL)
		eventually(t, 5*time.Second, func() error {
			st, err := p.Stats()
			if err == nil && (st.Revision != 1 || p.PID() == pid) {
				err = fmt.Errorf("revision %d, pid %d, before %d", st.Revision, p.PID(), pid)
			}
			return err
		})
		l.client.CloseIdleConnections()
		l.shares(s, 3)
	}
}

func TestForwardingOutlivesThePlaneWhichAdoptsItAgain(t *testing.T) {
	l := newLab(t)
	l.backend(nil)
	s := l.service("web", lb.RoundRobin)
	o := planeOptions(t)
	first := openPlane(t, o)
	l.applyTo(first)
	load := l.startLoad(s, 2)
	first.Close()
	time.Sleep(100 * time.Millisecond)
	o.Start = func(*exec.Cmd) error { return errors.New("a second proxy was started") }
	second := openPlane(t, o)
	if second.PID() != first.PID() {
		t.Errorf("pid %d, want %d", second.PID(), first.PID())
	}
	if st, err := second.Stats(); err != nil || st.Revision != 1 {
		t.Errorf("stats %+v, %v", st, err)
	}
	l.applyTo(second)
	load.stop(t)
	second.Close()
	// One that was adopted, and given nothing since, is restored as it was.
	o.Start = planeOptions(t).Start
	third := openPlane(t, o)
	defer endProxy(t, third)
	syscall.Kill(third.PID(), syscall.SIGKILL)
	eventually(t, 5*time.Second, func() error {
		st, err := third.Stats()
		if err == nil && st.Revision != 2 {
			err = fmt.Errorf("revision %d, want 2", st.Revision)
		}
		return err
	})
}

func TestACrashLoopIsBraked(t *testing.T) {
	o := planeOptions(t)
	var starts atomic.Int64
	start := o.Start
	o.Start = func(c *exec.Cmd) error {
		if starts.Add(1) > 1 {
			c.Path, c.Args = "/bin/false", []string{"false"}
		}
		return start(c)
	}
	p := openPlane(t, o)
	defer p.Close()
	syscall.Kill(p.PID(), syscall.SIGKILL)
	time.Sleep(time.Second) // restarts at 0, 100, 300, 700 ms
	if n := starts.Load(); n < 3 || n > 6 {
		t.Errorf("%d starts in a second, want 3 to 6", n)
	}
	if p.PID() != 0 {
		t.Errorf("pid %d of a proxy that does not run", p.PID())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := p.Apply(ctx, lb.Snapshot{Revision: 1}); err == nil {
		t.Error("apply without a proxy succeeded")
	}
}

func TestOpenSaysWhyAProxyDoesNotStart(t *testing.T) {
	o := planeOptions(t)
	o.Self = "/bin/false"
	want := "start l7 proxy: it ended (exit status 1), see " + o.LogFile
	if _, err := Open(o); err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestAStoppedProxyAnswersWhatIsInFlight(t *testing.T) {
	l := newLab(t)
	handler, arrived, release := holding()
	l.backend(handler)
	s := l.service("web", lb.RoundRobin)
	o := planeOptions(t)
	p := openPlane(t, o)
	l.applyTo(p)
	held := l.hold(s)
	<-arrived
	pid := p.PID()
	p.Close()
	syscall.Kill(pid, syscall.SIGQUIT)
	time.Sleep(50 * time.Millisecond)
	close(release)
	if err := <-held; err != nil {
		t.Errorf("in flight: %v", err)
	}
	eventually(t, 3*time.Second, func() error {
		if lives(pid) {
			return errors.New("it does not end")
		}
		return nil
	})
	if _, err := os.Stat(o.Socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its socket is left: %v", err)
	}
}
