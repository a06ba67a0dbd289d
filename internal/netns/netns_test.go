package netns

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		println("SKIP: network namespaces need root")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func newHandle(t *testing.T) *Handle {
	t.Helper()
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// loopbackUp is the least that a namespace needs to carry traffic.
func loopbackUp(t *testing.T, h *Handle) {
	t.Helper()
	nl, err := h.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	lo, err := nl.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := nl.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
}

// inode is that of the calling thread's namespace.
func inode(t *testing.T) uint64 {
	t.Helper()
	info, err := os.Stat(current)
	if err != nil {
		t.Fatal(err)
	}
	return inodeOf(info)
}

func TestNewLeavesTheCallerWhereItWas(t *testing.T) {
	before := inode(t)
	a, b := newHandle(t), newHandle(t)
	if inode(t) != before {
		t.Fatal("the caller's thread is in another namespace")
	}
	if a.Cookie() == b.Cookie() || a.Inode() == b.Inode() || a.Inode() == before || a.Cookie() == 0 {
		t.Fatalf("namespaces are not told apart: %+v %+v", a, b)
	}
}

func TestDoRunsInsideAndComesBack(t *testing.T) {
	h, before := newHandle(t), inode(t)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			err := h.Do(func() error {
				runtime.Gosched()
				if got := inode(t); got != h.Inode() {
					return errors.New("f runs outside")
				}
				return io.ErrUnexpectedEOF
			})
			if err != io.ErrUnexpectedEOF {
				t.Errorf("Do returned %v, want f's error", err)
			}
			if inode(t) != before {
				t.Error("the caller's thread is in another namespace")
			}
		})
	}
	wg.Wait()
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if info, err := os.Stat(task); err == nil && inodeOf(info) != before {
			t.Errorf("%s stayed behind in another namespace", task)
		}
	}
}

func TestDoNeverMovesTheMainThread(t *testing.T) {
	h := newHandle(t)
	for range 64 {
		if err := h.Do(func() error {
			if info, err := os.Stat("/proc/self/ns/net"); err != nil || inodeOf(info) == h.Inode() {
				return errors.New("the main thread is inside")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDoPassesPanicsAndGoexitOn(t *testing.T) {
	h := newHandle(t)
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v, want boom", got)
			}
		}()
		_ = h.Do(func() error { panic("boom") })
	}()
	done := make(chan bool)
	go func() {
		defer close(done)
		_ = h.Do(func() error { runtime.Goexit(); return nil })
		t.Error("Goexit in f did not end the caller")
	}()
	<-done
}

func TestPinAndUnpinAreIdempotent(t *testing.T) {
	h, other := newHandle(t), newHandle(t)
	path := filepath.Join(t.TempDir(), "ns")
	t.Cleanup(func() { Unpin(path) })
	if _, err := Open(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("Open of nothing: %v", err)
	}
	for range 2 {
		if err := h.Pin(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Pin(path); !errors.Is(err, os.ErrExist) {
		t.Fatalf("pinned over another namespace: %v", err)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Cookie() != h.Cookie() || again.Inode() != h.Inode() {
		t.Fatalf("opened %+v, pinned %+v", again, h)
	}
	for range 2 {
		if err := Unpin(path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the file is left: %v", err)
	}
}

func TestPinnedNamespaceOutlivesItsHandle(t *testing.T) {
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ns")
	if err := h.Pin(path); err != nil {
		t.Fatal(err)
	}
	defer Unpin(path)
	cookie := h.Cookie()
	h.Close()
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Cookie() != cookie {
		t.Fatalf("cookie %d, want %d", again.Cookie(), cookie)
	}
}

func TestOpenRefusesWhatIsNoNamespace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, "/proc/self/ns/mnt"} {
		if _, err := Open(path); !errors.Is(err, ErrNotNamespace) {
			t.Errorf("Open(%s): %v, want ErrNotNamespace", path, err)
		}
	}
	if err := Unpin(path); err != nil {
		t.Errorf("unpin of a lost mount's file: %v", err)
	}
}

func TestStartedProcessLivesInsideAndIsFound(t *testing.T) {
	h := newHandle(t)
	cmd := exec.Command("sleep", "5")
	if err := h.Start(cmd); err != nil {
		t.Fatal(err)
	}
	found, err := Processes(map[uint64]bool{h.Inode(): true})
	if err != nil || !slices.Equal(found, []int{cmd.Process.Pid}) {
		t.Errorf("Processes = %v, %v; want %d", found, err, cmd.Process.Pid)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if found, _ = Processes(map[uint64]bool{h.Inode(): true}); len(found) != 0 {
		t.Errorf("Processes after the end = %v", found)
	}
}

func TestDialAndListenStayInside(t *testing.T) {
	h := newHandle(t)
	loopbackUp(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	listener, err := h.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.WriteString(conn, "hello")
			conn.Close()
		}
	}()
	addr := listener.Addr().String()
	if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr); err == nil {
		conn.Close()
		t.Error("the listener is reachable from outside")
	}
	conn, err := h.DialContext(ctx, "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		t.Fatalf("read %q, %v", got, err)
	}
	if _, err := h.DialContext(ctx, "tcp", "localhost:80"); err == nil || !strings.Contains(err.Error(), "dial localhost:80") {
		t.Fatalf("a host name was dialled: %v", err)
	}
}

func TestNetlinkSeesTheNamespaceOnly(t *testing.T) {
	h := newHandle(t)
	nl, err := h.Netlink()
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "lbnsbr0"
	if err := nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		t.Fatal(err)
	}
	if _, err := netlink.LinkByName("lbnsbr0"); err == nil {
		t.Fatal("the bridge is in the caller's namespace")
	}
}
