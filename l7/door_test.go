package l7

import (
	"os"
	"path/filepath"
	"testing"
)

func TestABinaryThatDoesNotTakeOverLeavesTheOldOnesSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "l7.sock")
	old, err := openDoor(socket)
	if err != nil {
		t.Fatal(err)
	}
	for _, owns := range []bool{false, true} {
		f, err := old.share()
		if err != nil {
			t.Fatal(err)
		}
		next := &door{socket: socket}
		if next.lock, err = os.Open(os.DevNull); err != nil {
			t.Fatal(err)
		}
		if err := next.adopt(f); err != nil {
			t.Fatal(err)
		}
		if owns {
			old.listener.SetUnlinkOnClose(false)
			old.close()
			next.own()
		}
		next.close()
		if _, err := os.Stat(socket); (err == nil) == owns {
			t.Errorf("owns %t: %v", owns, err)
		}
	}
}
