package balance

import (
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// segment lies in memory that two processes share.
type segment struct {
	words words
	here  atomic.Int64 // processes that are ready
	won   atomic.Int64 // ejections that were told to somebody
}

const (
	childEnv  = "LBCTL_BALANCE_CHILD" // which task the test binary does for its parent
	taskSize  = 30000
	ejectTask = "eject"
)

// tasks are what each of two processes does.
var tasks = map[string]func(t *testing.T, s *segment){
	"rr":  func(t *testing.T, s *segment) { pickMany(t, service(lb.RoundRobin, members(5, 3, 2)), s) },
	"wrr": func(t *testing.T, s *segment) { pickMany(t, service(lb.WeightedRoundRobin, members(5, 3, 2)), s) },
	"lc":  func(t *testing.T, s *segment) { pickMany(t, service(lb.LeastConn, members(5, 3, 2)), s) },
	"wlc": func(t *testing.T, s *segment) { pickMany(t, service(lb.WeightedLeastConn, members(5, 3, 2)), s) },
	"limit": func(t *testing.T, s *segment) {
		backends := equals(3)
		for i := range backends {
			backends[i].MaxConn = uint32(1000 * (i + 1))
		}
		pickMany(t, service(lb.Random, backends), s)
	},
	ejectTask: func(t *testing.T, s *segment) {
		e := mustEject(t, service(lb.RoundRobin, equals(7)), &s.words)
		s.meet()
		for i := range 7000 {
			if _, won := e.Report(lb.BackendID(i%7+1), true, second); won {
				s.won.Add(1)
			}
		}
	},
}

func pickMany(t *testing.T, service lb.Service, s *segment) {
	p := mustNew(t, service, &s.words)
	s.meet()
	for i := range taskSize { // nothing ever finishes
		p.Pick(client(i+os.Getpid()<<16), nil)
	}
}

// meet waits for the other process, so that both are at it at the same time.
func (s *segment) meet() {
	s.here.Add(1)
	for s.here.Load() < 2 {
		runtime.Gosched()
	}
}

func TestTwoProcessesAreAsExactAsOne(t *testing.T) {
	if task := os.Getenv(childEnv); task != "" {
		tasks[task](t, mapped(t, os.NewFile(3, "shared")))
		return
	}
	for task, want := range map[string][]int64{
		"rr":      {20000, 20000, 20000},
		"wrr":     {30000, 18000, 12000},
		"lc":      {20000, 20000, 20000},
		"wlc":     {30000, 18000, 12000},
		"limit":   {1000, 2000, 3000},
		ejectTask: nil,
	} {
		s := inTwoProcesses(t, task)
		for i, want := range want {
			if n := s.words.members[i+1].inFlight.Load(); n != want {
				t.Errorf("%s: backend %d has %d in flight, want %d", task, i+1, n, want)
			}
		}
		if task == ejectTask {
			wantEjected(t, &s.words, 7, 3, s.won.Load())
		}
	}
}

func inTwoProcesses(t *testing.T, task string) *segment {
	t.Helper()
	fd, err := unix.MemfdCreate("balance", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "shared")
	defer file.Close()
	if err := file.Truncate(int64(unsafe.Sizeof(segment{}))); err != nil {
		t.Fatal(err)
	}
	s := mapped(t, file)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), childEnv+"="+task)
	child.ExtraFiles = []*os.File{file}
	out := make(chan error, 1)
	go func() {
		text, err := child.CombinedOutput()
		if err != nil {
			t.Logf("%s", text)
			s.here.Add(1) // so that nobody waits for it
		}
		out <- err
	}()
	tasks[task](t, s)
	if err := <-out; err != nil {
		t.Fatalf("%s in a second process: %v", task, err)
	}
	return s
}

func mapped(t *testing.T, file *os.File) *segment {
	t.Helper()
	memory, err := syscall.Mmap(int(file.Fd()), 0, int(unsafe.Sizeof(segment{})), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	return (*segment)(unsafe.Pointer(&memory[0]))
}

func TestWordsFillACacheLine(t *testing.T) {
	if n := unsafe.Sizeof(Words{}); n != 64 {
		t.Errorf("%d bytes, want 64", n)
	}
}
