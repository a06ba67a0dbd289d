package loop

import (
	"testing"
	"unsafe"
)

func TestASlabFillsItsSize(t *testing.T) {
	const word, size = 8, 12 << 10
	if n := unsafe.Sizeof([slab]Conn{}) + word; n > size || n+unsafe.Sizeof(Conn{}) <= size {
		t.Errorf("%d Conns have %d bytes, want as many as fit into %d", slab, n, size)
	}
}
