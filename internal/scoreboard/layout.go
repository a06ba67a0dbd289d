package scoreboard

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"
)

const (
	magic   = 0x6c62_626f_6172_6431 // "lbboard1"
	version = 3

	line = 64 // bytes of a cache line
	page = 4096
)

// Sizes are the bounds of a board, fixed when it is made. They cost address
// space; memory is taken by what is used.
type Sizes struct {
	Children int // process slots, those of generations that still finish included
	Threads  int // worker threads of one process
	Cells    int // services and backends, freed ones that are still in use included
}

// The bounds of the bounds. Together they may not take more than maxBoard, which
// a process of 2^47 bytes can map beside everything else.
const (
	maxBoard    = 1 << 44
	maxChildren = 1 << 16
	maxThreads  = 1 << 12
	maxCells    = 1 << 17
)

var errSizes = errors.New("sizes are out of range")

func (s Sizes) check() error {
	if s.Children < 1 || s.Children > maxChildren || s.Threads < 1 || s.Threads > maxThreads || s.Cells < 1 || s.Cells > maxCells || s.regions().end > maxBoard {
		return fmt.Errorf("use sizes %+v: %w", s, errSizes)
	}
	return nil
}

// header is the first page.
type header struct {
	magic                             uint64
	version                           uint32
	slotSize, sharedSize, accountSize uint32
	detailSize                        uint32
	children, threads, cells          uint32
	total                             uint64
}

func headerOf(s Sizes) header {
	return header{
		magic: magic, version: version,
		slotSize:    uint32(unsafe.Sizeof(Slot{})),
		sharedSize:  uint32(unsafe.Sizeof(Shared{})),
		accountSize: uint32(unsafe.Sizeof(account{})),
		detailSize:  uint32(unsafe.Sizeof(detail{})),
		children:    uint32(s.Children), threads: uint32(s.Threads), cells: uint32(s.Cells),
		total: uint64(s.regions().end),
	}
}

// regions are offsets into the memory. Each begins at a page, so that its lines
// are lines of the cache.
type regions struct{ children, slots, shared, rows, details, end int }

func (s Sizes) regions() (r regions) {
	r.children = page
	r.slots = pages(r.children + s.Children*int(unsafe.Sizeof(child{})))
	r.shared = pages(r.slots + s.Children*s.Threads*int(unsafe.Sizeof(Slot{})))
	r.rows = pages(r.shared + s.Cells*int(unsafe.Sizeof(Shared{})))
	r.details = pages(r.rows + s.Children*s.Cells*int(unsafe.Sizeof(account{})))
	r.end = pages(r.details + s.Children*s.Cells*int(unsafe.Sizeof(detail{})))
	return r
}

func pages(n int) int { return (n + page - 1) &^ (page - 1) }

// child says what a process slot may still use.
type child struct {
	generation atomic.Uint64 // the oldest configuration in use; 0: no process
	touched    atomic.Uint64 // 1 from the first process on: its slots and rows take memory
	resting    atomic.Int64  // threads, see Board.Rest
	come       atomic.Uint64 // threads, see Board.Come
	_          [line - 32]byte
}
