package scoreboard

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func newBoard(t testing.TB, s Sizes) *Board {
	t.Helper()
	b, err := Create(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// inherit opens the board once more, as a worker does.
func inherit(t testing.TB, b *Board) *Board {
	t.Helper()
	fd, err := unix.FcntlInt(b.File().Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	worker, err := Open(os.NewFile(uintptr(fd), "inherited"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Close() })
	return worker
}

func TestWorkerSeesWhatTheMasterMade(t *testing.T) {
	master := newBoard(t, Sizes{4, 2, 8})
	worker := inherit(t, master)
	if worker.Sizes() != master.Sizes() {
		t.Errorf("worker's sizes = %+v, want %+v", worker.Sizes(), master.Sizes())
	}
	worker.Row(1).Cell(3).Begin()
	if got := master.Shared(3).InFlight.Load(); got != 1 {
		t.Errorf("in flight = %d, want the worker's one", got)
	}
}

func TestNobodyCanTakeMemoryAway(t *testing.T) {
	b := newBoard(t, Sizes{1, 1, 1})
	for _, size := range []int64{0, page, 1 << 30} {
		if err := unix.Ftruncate(int(b.File().Fd()), size); !errors.Is(err, unix.EPERM) {
			t.Errorf("truncate to %d: %v, want EPERM", size, err)
		}
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	s := Sizes{2, 2, 2}
	size := int64(s.regions().end)
	file := func(change func(fd int)) *os.File {
		fd, err := unix.MemfdCreate("foreign", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			t.Fatal(err)
		}
		b := newBoard(t, s)
		if _, err := unix.Pwrite(fd, b.memory[:size], 0); err != nil {
			t.Fatal(err)
		}
		change(fd)
		return os.NewFile(uintptr(fd), "foreign")
	}
	seal := func(fd int) { _, _ = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals) }
	poke := func(at int64) func(int) {
		return func(fd int) { _, _ = unix.Pwrite(fd, []byte{0xee}, at); seal(fd) }
	}
	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*os.File{
		"not sealed":        file(func(int) {}),
		"another magic":     file(poke(0)),
		"another version":   file(poke(8)),
		"another slot size": file(poke(12)),
		"more children":     file(poke(24)),
		"another total":     file(poke(40)),
		"too short":         file(func(fd int) { _ = unix.Ftruncate(fd, size-page); seal(fd) }),
		"empty":             file(func(fd int) { _ = unix.Ftruncate(fd, 0); seal(fd) }),
		"a plain file":      plain,
	} {
		if _, err := Open(f); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v, want ErrForeign", name, err)
		}
	}
	if b, err := Open(file(seal)); err != nil {
		t.Errorf("a true copy: %v", err)
	} else {
		b.Close()
	}
}

func TestSizesOutOfRangeAreRefused(t *testing.T) {
	for _, s := range []Sizes{{}, {0, 1, 1}, {1, -1, 1}, {1, 1, 0}, {1 << 20, 1, 1}, {1, 1 << 20, 1}, {1, 1, 1 << 20}} {
		if _, err := Create(s); !errors.Is(err, errSizes) {
			t.Errorf("create %+v: %v, want errSizes", s, err)
		}
	}
}

// A board of the largest usual size, of which one child uses a few cells.
func TestMemoryIsTakenByWhatIsUsed(t *testing.T) {
	b := newBoard(t, Sizes{256, 64, 512})
	l := NewLedger(b)
	if _, err := l.Retain(1, []string{"a", "b", "c"}); err != nil {
		t.Fatal(err)
	}
	l.Admit(200, 1)
	b.Slot(200, 0).Enter(1)
	b.Row(200).Cell(2).Begin()
	b.Workers()
	l.Settle()
	l.Totals(2)
	var st unix.Stat_t
	if err := unix.Fstat(int(b.File().Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if taken := st.Blocks * 512; taken > 64<<10 {
		t.Errorf("of %d KiB, %d KiB are taken, want at most 64", st.Size>>10, taken>>10)
	}
}
