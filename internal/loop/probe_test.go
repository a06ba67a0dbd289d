package loop

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A container's filter forbids io_uring as a rule.
func TestProbeFallsBackWhereAFilterForbidsIOURing(t *testing.T) {
	for _, c := range []struct {
		name, why string
		forbidden uint32
	}{
		{"setup", "io_uring_setup: operation not permitted", unix.SYS_IO_URING_SETUP},
		{"register", "register provided buffers: operation not permitted", unix.SYS_IO_URING_REGISTER},
		{"enter", "io_uring: multishot receive: operation not permitted", unix.SYS_IO_URING_ENTER},
	} {
		t.Run(c.name, func(t *testing.T) {
			if k, why := Probe(); k != URing {
				t.Skip("io_uring does not work here anyway: " + why)
			}
			before := descriptors(t)
			type answer struct {
				kind Kind
				why  string
				err  error
			}
			got := make(chan answer)
			go func() {
				runtime.LockOSThread() // and the thread ends with the goroutine
				if err := forbid(c.forbidden); err != nil {
					got <- answer{err: err}
					return
				}
				k, why := Probe()
				l, err := New(Options{})
				if err == nil {
					k = l.Kind()
					why = l.Why()
					l.Close()
				}
				got <- answer{k, why, err}
			}()
			a := within(t, got, "Probe")
			if a.err != nil || a.kind != Epoll || !strings.HasPrefix(a.why, "epoll: ") || !strings.Contains(a.why, c.why) {
				t.Errorf("%v, %q, %v; want epoll and %q", a.kind, a.why, a.err, c.why)
			}
			if n := descriptors(t); n != before {
				t.Errorf("%d descriptors are open where %d were", n, before)
			}
		})
	}
}

// forbid makes a system call of the thread fail with EPERM.
func forbid(call uint32) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}

func TestProbeSaysWhatItFound(t *testing.T) {
	k, why := Probe()
	t.Log(why)
	if !strings.HasPrefix(why, k.String()+": ") {
		t.Errorf("Probe = %v, %q", k, why)
	}
	if _, err := New(Options{Kind: 99}); err == nil {
		t.Error("a loop of an unknown kind was made")
	}
}
