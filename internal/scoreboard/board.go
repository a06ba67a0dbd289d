package scoreboard

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seals keep every process's mapping valid: no holder of the descriptor can take
// memory away from under the others.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// ErrForeign means that a file is no scoreboard of this version.
var ErrForeign = errors.New("not a scoreboard of this version")

// Board is the shared memory, mapped into this process.
type Board struct {
	sizes    Sizes
	file     *os.File
	memory   []byte
	children []child
	slots    []Slot
	shared   []Shared
	accounts []account
	details  []detail
}

// Create makes a board. The master hands its File to the processes it starts.
func Create(s Sizes) (*Board, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("scoreboard", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("create scoreboard: %w", err)
	}
	file := os.NewFile(uintptr(fd), "scoreboard")
	h := headerOf(s)
	b, err := func() (*Board, error) {
		if err := unix.Ftruncate(fd, int64(h.total)); err != nil {
			return nil, fmt.Errorf("size scoreboard: %w", err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
			return nil, fmt.Errorf("seal scoreboard: %w", err)
		}
		return mapBoard(file, s)
	}()
	if err != nil {
		file.Close()
		return nil, err
	}
	*(*header)(unsafe.Pointer(&b.memory[0])) = h
	return b, nil
}

// Open maps the board that a process has inherited, and owns the file from then
// on, also on an error. It refuses with ErrForeign whatever this version has not
// made.
func Open(f *os.File) (*Board, error) {
	b, err := open(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open scoreboard: %w", err)
	}
	return b, nil
}

func open(f *os.File) (*Board, error) {
	unix.CloseOnExec(int(f.Fd()))
	has, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || has&unix.F_SEAL_SHRINK == 0 {
		return nil, ErrForeign
	}
	var start [unsafe.Sizeof(header{})]byte
	if _, err := f.ReadAt(start[:], 0); err != nil {
		return nil, ErrForeign
	}
	h := *(*header)(unsafe.Pointer(&start))
	s := Sizes{int(h.children), int(h.threads), int(h.cells)}
	if s.check() != nil || h != headerOf(s) {
		return nil, ErrForeign
	}
	if info, err := f.Stat(); err != nil || uint64(info.Size()) != h.total {
		return nil, ErrForeign
	}
	return mapBoard(f, s)
}

func mapBoard(f *os.File, s Sizes) (*Board, error) {
	r := s.regions()
	memory, err := unix.Mmap(int(f.Fd()), 0, r.end, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map scoreboard: %w", err)
	}
	return &Board{
		sizes: s, file: f, memory: memory,
		children: unsafe.Slice((*child)(unsafe.Pointer(&memory[r.children])), s.Children),
		slots:    unsafe.Slice((*Slot)(unsafe.Pointer(&memory[r.slots])), s.Children*s.Threads),
		shared:   unsafe.Slice((*Shared)(unsafe.Pointer(&memory[r.shared])), s.Cells),
		accounts: unsafe.Slice((*account)(unsafe.Pointer(&memory[r.rows])), s.Children*s.Cells),
		details:  unsafe.Slice((*detail)(unsafe.Pointer(&memory[r.details])), s.Children*s.Cells),
	}, nil
}

// File is the memory, to be inherited by a process or sent to it.
func (b *Board) File() *os.File { return b.file }

// Sizes returns the bounds.
func (b *Board) Sizes() Sizes { return b.sizes }

// Close unmaps the board. Nobody in this process may use it, or anything that it
// has given out, from then on.
func (b *Board) Close() error {
	err := errors.Join(unix.Munmap(b.memory), b.file.Close())
	*b = Board{sizes: b.sizes}
	if err != nil {
		return fmt.Errorf("close scoreboard: %w", err)
	}
	return nil
}

// Adopt says that the process in that slot uses no configuration older than
// this generation any more: no request in hand was begun under one. Cells that
// only older ones know may then go to others.
func (b *Board) Adopt(child int, generation uint64) { b.children[child].generation.Store(generation) }
