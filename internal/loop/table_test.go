package loop

import (
	"testing"
	"unsafe"
)

// A slab that is larger than a size of the runtime's wastes the rest of the next.
func TestASlabFillsItsSize(t *testing.T) {
	if n := unsafe.Sizeof([slab]Conn{}); n > 12<<10 {
		t.Errorf("%d Conns have %d bytes, want 12 KiB at most", slab, n)
	}
}
